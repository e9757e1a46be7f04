/** The part of the API for administrators: keys with the scope `admin`, or anybody on the gateway's machine while it has no keys. */

import { EventStreamParser } from "./event_stream.js";
import { Live } from "./live.js";
import { answered } from "./requests.js";

/** Every method throws SluiceError. */
export class Admin {
  #requests;

  /** @param {import("./requests.js").Requests} requests */
  constructor(requests) {
    this.#requests = requests;
  }

  /** Return the mode, who switched it, and which modes can serve.
   * @returns {Promise<any>} */
  mode() {
    return this.#requests.json("GET", "/api/admin/mode");
  }

  /** Switch the mode for new replies; running ones finish where they are.
   * @param {"sse" | "mqtt" | "auto"} mode
   * @param {{force?: boolean}} [options] force: even if the mode cannot serve now
   * @returns {Promise<any>} */
  switchMode(mode, { force = false } = {}) {
    return this.#requests.json("PUT", `/api/admin/mode${force ? "?force=1" : ""}`, { body: { mode } });
  }

  /** Return the running replies of all users, the oldest first.
   * @returns {Promise<any[]>} */
  streams() {
    return this.#requests.json("GET", "/api/admin/streams");
  }

  /** @param {string} streamId @returns {Promise<void>} */
  stopStream(streamId) {
    return this.#requests.json("DELETE", `/api/admin/streams/${encodeURIComponent(streamId)}`);
  }

  /** Return the MQTT workers with their rules.
   * @returns {Promise<any[]>} */
  workers() {
    return this.#requests.json("GET", "/api/admin/workers");
  }

  /** @param {string} name @param {{disabled?: boolean, max_requests?: number | null}} rule @returns {Promise<any>} */
  ruleWorker(name, rule) {
    return this.#requests.json("PATCH", `/api/admin/workers/${encodeURIComponent(name)}`, { body: rule });
  }

  /** @returns {Promise<any[]>} */
  devices() {
    return this.#requests.json("GET", "/api/admin/devices");
  }

  /** Follow the state of the gateway, for a control room.
   * @param {import("./connection.js").ConnectionOptions} [options]
   * @returns {Live} */
  live(options = {}) {
    return new Live(this.#requests, "/api/admin/live", options);
  }

  /** Have the gateway play a device or a worker, and follow its MQTT frames: `started`, `frame`s and `ended`.
   * It ends when the loop over the events is left. It is not resumed after a lost connection.
   * @param {"device" | "worker"} part
   * @param {{text?: string, room?: number | string, signal?: AbortSignal}} [options] text: the device's question; room: where
   *   the device shall be, until the loop is left
   * @returns {AsyncGenerator<any, void, void>} */
  async *simulate(part, { signal, ...more } = {}) {
    const options = { body: { part, ...more }, headers: { Accept: "text/event-stream, application/json" } };
    const response = await this.#requests.ask("POST", "/api/admin/simulator", signal ? { ...options, signal } : options);
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    const parser = new EventStreamParser();
    try {
      while (true) {
        const { done, value } = await answered(reader.read(), signal);
        if (done) return;
        for (const { data } of parser.push(value)) yield JSON.parse(data);
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  /** Let the device that is played in a room say something there.
   * @param {string} text @param {boolean} [ask] the model, or not; else the room decides @returns {Promise<void>} */
  deviceSays(text, ask) {
    return this.#requests.json("POST", "/api/admin/simulator/say", { body: { text, ask } });
  }
}
