/** A button for those who do not want to wait until a lost connection is tried again. */

import { retryNow } from "../sluice-client/index.js";
import { html } from "../vendor/preact.js";

export function TryNow() {
  return html`<button type="button" class="button small-button" onClick=${retryNow}>Try now</button>`;
}
