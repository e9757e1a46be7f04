/** The events of the session that is shown: what others do in it. They are heard while the visitor sees the page. */

import { sluice } from "../gateway.js";
import { isSeen, watchSeen } from "../seen.js";

/** @typedef {import("../../sluice-client/connection.js").State} State */

/**
 * @typedef {object} Ears
 * @property {(event: any) => void} heard
 * @property {() => void} missed events may be missing: load the session again
 * @property {(state: State) => void} told the state of the connection
 * @property {(error: Error) => void} refused no more events
 */

export class SessionEvents {
  #ears;
  #session = /** @type {string | null} */ (null);
  #live = /** @type {import("../../sluice-client/live.js").Live | null} */ (null);
  #isPaused = !isSeen();
  #unwatch = watchSeen({ show: () => this.#resume(), hide: () => this.#pause() });

  /** @param {Ears} ears */
  constructor(ears) {
    this.#ears = ears;
  }

  /** @param {string} session uuid */
  follow(session) {
    this.#session = session;
    if (!this.#live && !this.#isPaused) this.#read(session);
  }

  unfollow() {
    this.#session = null;
    this.#end();
  }

  /** Follow nothing any more. */
  close() {
    this.#unwatch();
    this.unfollow();
  }

  #end() {
    this.#live?.close();
    this.#live = null;
  }

  #pause() {
    this.#isPaused = true;
    this.#end();
  }

  #resume() {
    this.#isPaused = false;
    if (this.#session === null || this.#live) return;
    this.#ears.missed();
    this.#read(this.#session);
  }

  /** @param {string} session */
  async #read(session) {
    const live = sluice.sessions.follow(session);
    this.#live = live;
    let mayMiss = false;
    live.onstate = (state) => {
      this.#ears.told(state);
      if (mayMiss && (state === "open" || state === "resumed")) this.#ears.missed();
      mayMiss = state === "waiting";
    };
    try {
      for await (const event of live) this.#ears.heard(event);
    } catch (error) {
      this.#ears.refused(/** @type {Error} */ (error));
    }
  }
}
