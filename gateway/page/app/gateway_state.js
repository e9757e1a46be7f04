/** The state of the gateway, asked every few seconds while the page is seen. */

import { Changing } from "./changes.js";
import { login, NEEDS_KEY, sluice } from "./gateway.js";

const EVERY_MS = 5000;

class GatewayState extends Changing {
  /** The latest answer of `GET /api/metrics`. @type {any} */
  told = null;
  lost = false;
  #timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  #asking = false;

  /** Ask now, and from now on. */
  async ask() {
    clearTimeout(this.#timer);
    if (this.#asking || (NEEDS_KEY && !login.key)) return;
    this.#asking = true;
    let refused = false;
    if (document.visibilityState === "visible") {
      try {
        this.told = await sluice.metrics();
        this.lost = false;
      } catch (error) {
        const { status } = /** @type {any} */ (error);
        this.lost = status === 0 || status >= 502; // a proxy says it too
        refused = status === 401 || status === 403; // until another key comes
      }
      this.changed();
    }
    this.#asking = false;
    if (!refused) this.#timer = setTimeout(() => this.ask(), EVERY_MS);
  }
}

export const gatewayState = new GatewayState();
