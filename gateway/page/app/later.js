/** Views whose files are loaded when they are first shown, so that the first one is shown soon. */

import { html, useEffect, useState } from "../vendor/preact.js";

/** @param {{load: () => Promise<{default: any}>, [property: string]: any}} props load: imports the view; the others are the view's */
export function Later({ load, ...props }) {
  const [view, setView] = useState(/** @type {{default: any} | null} */ (null));
  useEffect(() => {
    load().then(setView);
  }, []);
  return view ? html`<${view.default} ...${props} />` : null;
}
