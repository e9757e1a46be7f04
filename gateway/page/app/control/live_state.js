/** The gateway's state as it is told by `GET /api/admin/live`. */

import { Changing } from "../changes.js";
import { sluice } from "../gateway.js";
import { isSeen, watchSeen } from "../seen.js";

const HOUR_S = 3600;

/** @typedef {{at: number, replies: number, errors: Record<string, number>, tokens: number, ttft_ms: number | null,
 *   tokens_per_s: number | null}} Minute */

export class LiveState extends Changing {
  /** The latest `state` event. @type {any} */
  state = null;
  /** When it arrived, in milliseconds of `performance.now()`. */
  stateAt = 0;
  /** Minutes of the last hour by their beginning. @type {Map<number, Minute>} */
  minutes = new Map();
  /** @type {import("../../sluice-client/connection.js").State} */
  connection = "connecting";
  /** Set if the gateway refuses to tell its state. @type {import("../../sluice-client/requests.js").SluiceError | null} */
  refusal = null;

  #live = /** @type {import("../../sluice-client/live.js").Live | null} */ (null);
  #unwatch = watchSeen({ show: () => this.#read(), hide: () => this.#live?.close() });

  constructor() {
    super();
    if (isSeen()) this.#read();
  }

  close() {
    this.#unwatch();
    this.#live?.close();
  }

  /** Return the gateway's time in seconds since 1970: the visitor's clock may be wrong. */
  now() {
    return (Date.now() - (this.#live?.clockAheadMs ?? 0)) / 1000;
  }

  async #read() {
    const live = sluice.admin.live();
    this.#live = live;
    live.onstate = (state) => {
      this.connection = state;
      this.changed();
    };
    try {
      for await (const event of live) this.#take(event);
    } catch (error) {
      this.refusal = /** @type {any} */ (error);
      this.changed();
    }
  }

  /** @param {any} event */
  #take(event) {
    if (event.type === "state") {
      this.state = event;
      this.stateAt = performance.now();
    } else if (event.type === "hour") {
      for (const minute of event.minutes) this.minutes.set(minute.at, minute);
      const oldest = this.now() - HOUR_S - 60;
      for (const at of this.minutes.keys()) if (at < oldest) this.minutes.delete(at);
    }
    this.changed();
  }
}
