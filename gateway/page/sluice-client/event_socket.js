/** One WebSocket of a gateway: named events in both directions, each of ours with its acknowledgement. */

import { SluiceError } from "./requests.js";

const ANSWER_MS = 20_000;

export class EventSocket {
  /** Resolves when the socket is closed. @type {Promise<void>} */
  closed;

  #socket;
  #answers = /** @type {Map<number, {resolve: (data: any) => void, reject: (error: SluiceError) => void}>} */ (new Map());
  #asked = 0;

  /** Use `open`.
   * @param {WebSocket} socket
   * @param {(event: string, data: any) => void} hear */
  constructor(socket, hear) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      const end = () => {
        for (const { reject } of this.#answers.values()) reject(lost());
        this.#answers.clear();
        resolve();
      };
      socket.addEventListener("close", end);
      socket.addEventListener("error", end); // in node 20 no "close" follows if the connection was refused
    });
    socket.addEventListener("message", ({ data: text }) => {
      const { event, data, ack } = JSON.parse(text);
      if (event === "ack") this.#answer(ack, data);
      else hear(event, data);
    });
  }

  /** Connect, and say who it is. Throws SluiceError.
   * @param {import("./requests.js").Requests} requests
   * @param {{userId: string | undefined, hear: (event: string, data: any) => void, signal: AbortSignal}} options
   *   userId: a name, where the gateway has no keys; hear: called with each event; signal: closes the socket
   * @returns {Promise<EventSocket>} */
  static async open(requests, { userId, hear, signal }) {
    const socket = requests.socket("/ws");
    const giveUp = () => socket.close();
    signal.addEventListener("abort", giveUp);
    const opened = new EventSocket(socket, hear);
    opened.closed.then(() => signal.removeEventListener("abort", giveUp));
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      opened.closed.then(() => reject(lost()));
    });
    const { key } = requests;
    if (key || userId) await opened.emit("auth", key ? { key } : { userId });
    return opened;
  }

  /** Send an event and return the answer. Throws SluiceError if it is refused, or not answered.
   * @param {string} event
   * @param {object} data
   * @returns {Promise<any>} */
  emit(event, data) {
    if (this.#socket.readyState !== 1) return Promise.reject(lost());
    this.#asked += 1;
    const ack = this.#asked;
    const answer = new Promise((resolve, reject) => this.#answers.set(ack, { resolve, reject }));
    const timer = setTimeout(() => this.close(), ANSWER_MS); // then nothing else arrives either
    this.#socket.send(JSON.stringify({ event, data, ack }));
    return answer.finally(() => clearTimeout(timer));
  }

  close() {
    this.#socket.close();
  }

  /** @param {number} ack @param {any} data */
  #answer(ack, data) {
    const asked = this.#answers.get(ack);
    this.#answers.delete(ack);
    if (data?.error) asked?.reject(new SluiceError(data.error.message, { status: 400, code: data.error.code }));
    else asked?.resolve(data);
  }
}

function lost() {
  return new SluiceError("The gateway cannot be reached.");
}
