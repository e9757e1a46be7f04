/** A field's text while it is written. A view that is drawn again meanwhile would put the old value back. */

import { useState } from "../vendor/preact.js";

/** Return the properties of a field whose value counts once it is left, or Enter is pressed.
 * @param {string | number} value @param {(text: string) => void} onChange */
export function useDraft(value, onChange) {
  const [draft, setDraft] = useState(/** @type {string | null} */ (null));
  return {
    value: draft ?? value,
    onInput: (/** @type {any} */ event) => setDraft(event.target.value),
    onChange: (/** @type {any} */ event) => {
      setDraft(null);
      onChange(event.target.value);
    },
  };
}
