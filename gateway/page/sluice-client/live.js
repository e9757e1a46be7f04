/** Events of a stream that has no end, such as a session's. */

import { Connection } from "./connection.js";

/** Iterate over it for its events, parsed from JSON. It reconnects by itself until `close()`, or until it is refused. */
export class Live {
  /** @type {import("./connection.js").State} */
  state = "connecting";
  /** Called at each new state. After `resumed`, load anew what you show: events may be missing.
   * @type {((state: import("./connection.js").State) => void) | null} */
  onstate = null;

  #connection;
  #queue = /** @type {any[]} */ ([]);
  #over = false;
  #error = /** @type {Error | null} */ (null);
  #wake = () => {};

  /**
   * @param {import("./requests.js").Requests} requests
   * @param {string} path
   * @param {import("./connection.js").ConnectionOptions} [options]
   */
  constructor(requests, path, options = {}) {
    const headers = { Accept: "text/event-stream, application/json" };
    this.#connection = new Connection(
      {
        connect: (_, signal) => requests.send("GET", path, { headers, signal }),
        frame: ({ event, data }) => {
          const told = JSON.parse(data);
          this.#queue.push(event === "message" ? told : { type: event, ...told });
          this.#wake();
          return false;
        },
        state: (state) => {
          this.state = state;
          this.onstate?.(state);
        },
        ended: (error) => {
          this.#error = error;
          this.#over = true;
          this.#wake();
        },
      },
      { patienceS: Number.POSITIVE_INFINITY, ...options },
    );
    this.#connection.run();
  }

  close() {
    this.#connection.close();
  }

  /** Throws SluiceError if the stream is refused.
   * @returns {AsyncGenerator<any, void, void>} */
  async *[Symbol.asyncIterator]() {
    while (true) {
      const events = this.#queue.splice(0);
      yield* events;
      if (events.length) continue;
      if (this.#error) throw this.#error;
      if (this.#over) return;
      await new Promise((resolve) => {
        this.#wake = () => resolve(undefined);
      });
    }
  }
}
