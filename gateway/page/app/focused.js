/** The focus of fields that are shown later than the page: browsers heed `autofocus` only once. */

/** True if the visitor writes on the screen, as on a phone: keys there have no Shift Enter, and cover what one reads. */
export function isTouched() {
  return matchMedia("(hover: none) and (pointer: coarse)").matches;
}

/** Give the composer the focus, after something that had it is gone. */
export function focusComposer() {
  if (!isTouched()) /** @type {HTMLElement | null} */ (document.querySelector(".composer textarea"))?.focus();
}

/** A `ref` that gives an element the focus when it is shown. @param {HTMLElement | null} element */
export function focused(element) {
  element?.focus();
}
