/** The state of the gateway, asked every few seconds while the page is seen. */

import { Changing } from "./changes.js";
import { sluice } from "./gateway.js";

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
    if (this.#asking) return;
    this.#asking = true;
    if (document.visibilityState === "visible") {
      try {
        this.told = await sluice.metrics();
        this.lost = false;
      } catch (error) {
        this.lost = /** @type {any} */ (error).status === 0;
      }
      this.changed();
    }
    this.#asking = false;
    this.#timer = setTimeout(() => this.ask(), EVERY_MS);
  }
}

export const gatewayState = new GatewayState();
