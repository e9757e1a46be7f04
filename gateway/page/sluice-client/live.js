/** Events of a stream that has no end, such as a session's. */

import { Connection } from "./connection.js";
import { EventQueue } from "./event_queue.js";

/** Iterate over it for its events, parsed from JSON. It reconnects by itself until `close()`, or until it is refused. */
export class Live {
  /** @type {import("./connection.js").State} */
  state = "connecting";
  /** Called at each new state. After `resumed`, load anew what you show: events may be missing.
   * @type {((state: import("./connection.js").State) => void) | null} */
  onstate = null;
  /** By how many milliseconds the clock here is ahead of the gateway's; 0 if the gateway does not tell its time. */
  clockAheadMs = 0;

  #connection;
  #events = new EventQueue();

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
        answered: ({ headers }) => {
          this.clockAheadMs = Date.now() - Date.parse(headers.get("Date") ?? "") || 0;
        },
        frame: ({ event, data }) => {
          const told = JSON.parse(data);
          this.#events.push(event === "message" ? told : { type: event, ...told });
          return false;
        },
        state: (state) => {
          this.state = state;
          this.onstate?.(state);
        },
        ended: (error) => this.#events.end(error),
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
  [Symbol.asyncIterator]() {
    return this.#events[Symbol.asyncIterator]();
  }
}
