/** Keeps one stream of events open over lost connections. */

import { Backoff } from "./backoff.js";
import { EventStreamParser } from "./event_stream.js";
import { refusalOf, SluiceError } from "./requests.js";

/**
 * `connecting` the first request is on its way · `open` events come · `waiting` the connection is lost, another try follows ·
 * `resumed` events come again · `ended` no more events.
 * @typedef {"connecting" | "open" | "waiting" | "resumed" | "ended"} State
 */

/**
 * @typedef {object} Listener
 * @property {boolean} [asks] the first request may be refused by a gateway that is not ready: it says so at once, instead of waiting
 * @property {(lastEventId: string | null, signal: AbortSignal) => Promise<Response>} connect sends the request
 * @property {(response: Response) => void} [answered] hears of each accepted request
 * @property {(frame: import("./event_stream.js").Frame) => boolean} frame takes a frame; true: it was the last one
 * @property {(state: State) => void} state
 * @property {(error: SluiceError | null) => void} ended hears the end, once: null if nothing failed
 */

/**
 * @typedef {object} ConnectionOptions
 * @property {number} [firstMs] the shortest pause before another try (1,000 ms)
 * @property {number} [mostMs] the longest one (30,000 ms)
 * @property {number} [patienceS] give up after so long without an answer (600 s)
 * @property {number} [silenceS] a connection silent for so long is lost (60 s); the gateway sends a comment every 15 s
 */

const FOR_NOW = new Set([408, 425, 429, 502, 503, 504]);

export class Connection {
  #listener;
  #backoff;
  #patienceMs;
  #silenceMs;
  #closed = new AbortController();
  #lastEventId = /** @type {string | null} */ (null);
  #opened = false;

  /**
   * @param {Listener} listener
   * @param {ConnectionOptions} [options]
   */
  constructor(listener, { patienceS = 600, silenceS = 60, ...pauses } = {}) {
    this.#listener = listener;
    this.#backoff = new Backoff(pauses);
    this.#patienceMs = patienceS * 1000;
    this.#silenceMs = silenceS * 1000;
  }

  /** Close the connection; nothing is told afterwards but the end. */
  close() {
    this.#closed.abort();
  }

  /** Run until the last frame, a refusal, or `close`. Never throws.
   * @returns {Promise<void>} */
  async run() {
    let error = null;
    this.#listener.state("connecting");
    try {
      await this.#runUntilOver();
    } catch (thrown) {
      if (!this.#closed.signal.aborted) error = asSluiceError(thrown);
    }
    this.#listener.state("ended");
    this.#listener.ended(error);
  }

  async #runUntilOver() {
    let waitedMs = 0; // without an answer; the time for which the machine slept does not count
    let mayBeTaken = false; // by the gateway, whose answer was lost
    while (!this.#closed.signal.aborted) {
      const attempt = new Attempt(this.#closed.signal, this.#silenceMs);
      const begunAt = performance.now();
      let isAnswered = false;
      let askedMs = null;
      let failure;
      try {
        const response = await this.#listener.connect(this.#lastEventId, attempt.signal);
        if (response.status === 204) return; // everything was read
        if (!response.ok) throw await refusalOf(response);
        this.#listener.answered?.(response);
        this.#listener.state(this.#opened ? "resumed" : "open"); // the first bytes may come much later
        if (await this.#read(response, attempt, () => (isAnswered = true))) return;
        failure = new SluiceError("The connection was closed before the reply's end.");
      } catch (thrown) {
        failure = asSluiceError(thrown);
        if (failure.status && !FOR_NOW.has(failure.status)) throw failure;
        if (failure.retryAfterS !== null) askedMs = failure.retryAfterS * 1000;
      } finally {
        askedMs ??= attempt.parser.retryMs;
        attempt.end();
      }
      if (this.#closed.signal.aborted) return;
      waitedMs = isAnswered ? 0 : waitedMs + Math.min(performance.now() - begunAt, this.#silenceMs);
      const isRefused = this.#listener.asks && !this.#opened && failure.status && !(mayBeTaken && isOfProxy(failure));
      if (waitedMs >= this.#patienceMs || isRefused) throw failure;
      mayBeTaken ||= !failure.status;
      this.#listener.state("waiting");
      waitedMs += await this.#backoff.pause(askedMs, this.#patienceMs - waitedMs, this.#closed.signal);
    }
  }

  /** Tell the frames of one response. Returns whether the last one was among them.
   * @param {Response} response
   * @param {Attempt} attempt
   * @param {() => void} heard
   */
  async #read(response, attempt, heard) {
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    const { parser } = attempt;
    while (true) {
      attempt.expectBytes();
      const { done, value } = await reader.read();
      if (done) return false;
      const frames = parser.push(value);
      this.#lastEventId = parser.lastEventId ?? this.#lastEventId;
      if (this.#closed.signal.aborted) return true;
      heard();
      this.#backoff.reset();
      this.#opened = true;
      for (const frame of frames) {
        if (this.#listener.frame(frame)) return true;
      }
    }
  }
}

/** One request: it is given up when it is silent, when the network is lost, or when the connection is closed. */
class Attempt {
  parser = new EventStreamParser();
  #given_up = new AbortController();
  #over = new AbortController();
  #timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  #silenceMs;

  /** @param {AbortSignal} closed @param {number} silenceMs */
  constructor(closed, silenceMs) {
    this.#silenceMs = silenceMs;
    const giveUp = () => {
      clearTimeout(this.#timer); // a program that has closed its connection may end
      this.#given_up.abort();
    };
    closed.addEventListener("abort", giveUp, { signal: this.#over.signal });
    globalThis.addEventListener?.("offline", giveUp, { signal: this.#over.signal });
    this.expectBytes();
  }

  get signal() {
    return this.#given_up.signal;
  }

  expectBytes() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#given_up.abort(), this.#silenceMs);
  }

  end() {
    clearTimeout(this.#timer);
    this.#over.abort();
    this.#given_up.abort();
  }
}

/** True if a proxy answered that has no gateway. @param {SluiceError} refusal */
function isOfProxy({ code }) {
  return code.startsWith("http_");
}

/** @param {unknown} thrown @returns {SluiceError} */
function asSluiceError(thrown) {
  if (thrown instanceof SluiceError) return thrown;
  return new SluiceError(`The gateway cannot be reached: ${thrown instanceof Error ? thrown.message : thrown}`);
}
