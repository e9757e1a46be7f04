/** Copies text, also where the browser has no clipboard for pages: it has one only behind https and on this machine. */

/** @param {string} text @returns {Promise<void>} */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const field = Object.assign(document.createElement("textarea"), { className: "spoken", value: text });
  (document.querySelector("dialog[open]") ?? document.body).append(field); // outside of an open dialog nothing can be selected
  field.select();
  document.execCommand("copy");
  field.remove();
  focused?.focus();
}
