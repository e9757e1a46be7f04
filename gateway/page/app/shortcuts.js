/** Keys of the page, and the list of them at `?` or Ctrl `/`. Those of one character can be switched off: a visitor who speaks to the
 * computer, or whose hand slips, presses them unintended. */

import { html, useEffect, useState } from "../vendor/preact.js";
import { Notice } from "./dialog.js";
import { inBrowser } from "./kept.js";

const KEYS = [
  ["Enter", "send"],
  ["Shift Enter", "a new line"],
  ["Esc", "stop the reply"],
  ["Ctrl Shift O", "a new chat"],
  ["/", "write"],
  ["?", "this list"],
  ["Ctrl /", "this list"],
];
const NO_SINGLES = "sluice-no-single-keys";

/** True if the key is for an input method, which writes Japanese or Chinese: Enter then takes a word, and sends nothing.
 * Safari ends the composition before it tells the key, and gives the key this number. @param {KeyboardEvent} event */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

/** @param {{onNew: () => void}} props */
export function Shortcuts({ onNew }) {
  const [open, setOpen] = useState(false);
  const [singles, setSingles] = useState(() => inBrowser.get(NO_SINGLES) === null);
  useEffect(() => {
    const hear = (/** @type {KeyboardEvent} */ event) => {
      const writes = /** @type {HTMLElement} */ (event.target).closest("input, textarea, select");
      if (event.ctrlKey && event.shiftKey && event.key.toLowerCase() === "o") {
        event.preventDefault();
        onNew();
      } else if (event.ctrlKey && event.key === "/") {
        event.preventDefault();
        setOpen(!open);
      } else if (writes || !singles) return;
      else if (event.key === "?") setOpen(!open);
      else if (event.key === "/") {
        event.preventDefault();
        /** @type {HTMLElement | null} */ (document.querySelector(".composer textarea"))?.focus();
      }
    };
    addEventListener("keydown", hear, true);
    return () => removeEventListener("keydown", hear, true);
  });
  const switchSingles = (/** @type {any} */ event) => {
    setSingles(event.target.checked);
    if (event.target.checked) inBrowser.remove(NO_SINGLES);
    else inBrowser.set(NO_SINGLES, "1");
  };
  if (!open) return null;
  return html`<${Notice} title="Keys" onClose=${() => setOpen(false)}>
    <dl class="keys">${KEYS.map(([key, use]) => html`<dt key=${key}><kbd>${key}</kbd></dt><dd>${use}</dd>`)}</dl>
    <p><label class="note" onClick=${(/** @type {Event} */ event) => event.stopPropagation()}>
      <input type="checkbox" checked=${singles} onChange=${switchSingles} /> Use the keys / and ?</label></p></${Notice}>`;
}
