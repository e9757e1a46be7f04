/** The state of the gateway and what it does now. */

import { html } from "../../vendor/preact.js";

export default function ControlRoom() {
  return html`<section class="control"><h1>Control room</h1></section>`;
}
