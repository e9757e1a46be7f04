/** Keys of the page, and the list of them at `?`. */

import { html, useEffect, useState } from "../vendor/preact.js";
import { Notice } from "./dialog.js";

const KEYS = [
  ["Enter", "send"],
  ["Shift Enter", "a new line"],
  ["Esc", "stop the reply"],
  ["Ctrl Shift O", "a new chat"],
  ["/", "write"],
  ["?", "this list"],
];

/** True if the key is for an input method, which writes Japanese or Chinese: Enter then takes a word, and sends nothing.
 * Safari ends the composition before it tells the key, and gives the key this number. @param {KeyboardEvent} event */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

/** @param {{onNew: () => void}} props */
export function Shortcuts({ onNew }) {
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const hear = (/** @type {KeyboardEvent} */ event) => {
      const writes = /** @type {HTMLElement} */ (event.target).closest("input, textarea, select");
      if (event.ctrlKey && event.shiftKey && event.key.toLowerCase() === "o") {
        event.preventDefault();
        onNew();
      } else if (!writes && event.key === "?") setOpen(!open);
      else if (!writes && event.key === "/") {
        event.preventDefault();
        /** @type {HTMLElement | null} */ (document.querySelector(".composer textarea"))?.focus();
      }
    };
    addEventListener("keydown", hear, true);
    return () => removeEventListener("keydown", hear, true);
  });
  if (!open) return null;
  return html`<${Notice} title="Keys" onClose=${() => setOpen(false)}>
    <dl class="keys">${KEYS.map(([key, use]) => html`<dt key=${key}><kbd>${key}</kbd></dt><dd>${use}</dd>`)}</dl></${Notice}>`;
}
