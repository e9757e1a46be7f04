/** The simulated device of a room, while it is played. */

import { Changing } from "../changes.js";
import { sluice } from "../gateway.js";

const MOST_FRAMES = 500;

export class DeviceInRoom extends Changing {
  /** @type {{sent: boolean, topic: string, payload: string}[]} */
  frames = [];
  /** @type {"connecting" | "running" | "over"} */
  state = "connecting";
  problem = "";

  #left = new AbortController();

  /** @param {string} room */
  constructor(room) {
    super();
    this.#run(room);
  }

  leave() {
    this.#left.abort();
  }

  /** @param {string} text @param {boolean} ask */
  async say(text, ask) {
    this.problem = "";
    try {
      await sluice.admin.deviceSays(text, ask);
    } catch (error) {
      this.problem = /** @type {Error} */ (error).message;
    }
    this.changed();
  }

  /** @param {string} room */
  async #run(room) {
    const { signal } = this.#left;
    try {
      for await (const event of sluice.admin.simulate("device", { room, signal })) {
        if (event.type === "started") this.state = "running";
        else if (event.type === "ended") this.problem = event.message;
        else if (event.type === "frame") this.frames = [...this.frames.slice(1 - MOST_FRAMES), event];
        this.changed();
      }
    } catch (error) {
      if (!signal.aborted) this.problem = /** @type {Error} */ (error).message;
    }
    this.state = "over";
    this.changed();
  }
}
