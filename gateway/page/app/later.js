/** Views whose files are loaded when they are first shown, so that the first one is shown soon. */

import { html, useEffect, useState } from "../vendor/preact.js";
import { RETRY_MS } from "./gateway.js";

/** @param {{load: () => Promise<{default: any}>, [property: string]: any}} props load: imports the view; the others are the view's */
export function Later({ load, ...props }) {
  const [view, setView] = useState(/** @type {{default: any} | null} */ (null));
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
    let left = false;
    const begin = () =>
      load().then(setView, () => {
        if (left) return;
        setFailed(true);
        timer = setTimeout(begin, RETRY_MS);
      });
    begin();
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, []);
  if (view) return html`<${view.default} ...${props} />`;
  return failed ? html`<p class="failure later" role="alert">The gateway does not answer. This part of the page is loaded as soon as it does.</p>` : null;
}
