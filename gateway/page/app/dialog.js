/** Modal dialogs: questions before something is done, and notices. */

import { html, useEffect, useRef } from "../vendor/preact.js";

/** Ask before something is done. Escape answers no.
 * @param {{title: string, text: any, action: string, danger?: boolean, onYes: () => void, onNo: () => void}} props */
export function Confirm({ title, text, action, danger = false, onYes, onNo }) {
  const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    ref.current?.showModal();
    return () => before?.focus(); // the dialog is removed, not closed
  }, []);
  const cancel = (/** @type {Event} */ event) => {
    event.preventDefault();
    onNo();
  };
  return html`<dialog ref=${ref} class="card confirm" aria-labelledby="confirm-title" onCancel=${cancel}>
    <h2 id="confirm-title">${title}</h2><p>${text}</p>
    <div class="answers"><button class="button" onClick=${onNo}>Cancel</button>
      <button class=${danger ? "button main danger" : "button main"} onClick=${onYes}>${action}</button></div>
  </dialog>`;
}

/** Show something until Escape or a click closes it. @param {{title: string, onClose: () => void, children?: any}} props */
export function Notice({ title, onClose, children }) {
  const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => ref.current?.showModal(), []);
  return html`<dialog ref=${ref} class="card" aria-labelledby="notice-title" onClose=${onClose} onClick=${() => ref.current?.close()}>
    <h2 id="notice-title">${title}</h2>${children}</dialog>`;
}
