/** Begins the page. */

import { html, render } from "../vendor/preact.js";
import { App } from "./app.js";
import { copy } from "./clipboard.js";

const element = /** @type {HTMLElement} */ (document.getElementById("app"));
element.replaceChildren();
render(html`<${App} />`, element);

addEventListener("click", async (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest(".copy-code");
  if (!button) return;
  await copy(button.closest(".code")?.querySelector("code")?.textContent ?? "");
  button.textContent = "Copied";
  setTimeout(() => {
    button.textContent = "Copy";
  }, 1500);
});

for (const name of /** @type {const} */ (["dragover", "drop"])) {
  addEventListener(name, (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); // else the browser leaves the page for the file
  });
}
