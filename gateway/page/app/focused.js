/** The focus of fields that are shown later than the page: browsers heed `autofocus` only once. */

/** A `ref` that gives an element the focus when it is shown. @param {HTMLElement | null} element */
export function focused(element) {
  element?.focus();
}
