/** A reply while it is written. */

import { Connection } from "./connection.js";
import { SluiceError } from "./requests.js";

/**
 * An event of a reply, as docs/http.md lists them, for example `{type: "chunk", content: "Hello"}`. The last one is `done` or
 * `error`. A refused question is an `error` too, with `status` and `errors` (of fields).
 * @typedef {{type: string, content?: string, [field: string]: any}} ReplyEvent
 */

/** Kinds whose `content` may be joined without a loss. */
const TEXTS = new Set(["chunk", "reasoning"]);

/**
 * One reply: iterate over it, once, for its events. It goes on over lost connections; no text is lost or repeated.
 * Leaving the loop does not stop it: use `stop()` or `close()`.
 */
export class Reply {
  /** The text so far. */
  text = "";
  /** The model's reasoning so far. */
  reasoning = "";
  /** How many pieces of text have come; of a reply that streams, about its tokens. */
  deltas = 0;
  /** @type {import("./connection.js").State} */
  state = "connecting";
  /** The first event: ids of session, messages and stream.
   * @type {ReplyEvent | null} */
  metadata = null;
  /** Called at each new state.
   * @type {((state: import("./connection.js").State) => void) | null} */
  onstate = null;
  /** Resolves to the last event, `done` or `error`, or to null after `close()`.
   * @type {Promise<ReplyEvent | null>} */
  finished;

  #requests;
  #start;
  #before;
  #connection;
  #streamId = /** @type {string | null} */ (null);
  #known;
  #queue = /** @type {ReplyEvent[]} */ ([]);
  #last = /** @type {ReplyEvent | null} */ (null);
  #over = false;
  #isStopped = false;
  #wake = () => {};
  #gather;

  /**
   * @param {import("./requests.js").Requests} requests
   * @param {Start} start
   * @param {ReplyOptions} options
   */
  constructor(requests, start, options) {
    this.#requests = requests;
    this.#start = start.send;
    this.#before = { text: start.text ?? "", reasoning: start.reasoning ?? "" };
    Object.assign(this, this.#before);
    this.#streamId = start.streamId ?? null;
    this.#gather = options.gather ?? typeof requestAnimationFrame === "function";
    /** @type {PromiseWithResolvers<string | null>} */
    this.#known = withResolvers();
    if (this.#streamId) this.#known.resolve(this.#streamId);
    this.#connection = new Connection(
      {
        asks: start.send !== null,
        connect: (lastEventId, signal) => this.#connect(lastEventId, signal),
        answered: (response) => this.#learnId(response.headers.get("Sluice-Stream-Id")),
        frame: (frame) => this.#take(JSON.parse(frame.data)),
        state: (state) => this.#enter(state),
        ended: (error) => this.#end(error),
      },
      options,
    );
    const { signal } = options;
    const stop = () => this.stop().catch(() => {});
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) this.close(); // before anything was asked
    this.finished = this.#connection.run().then(() => {
      signal?.removeEventListener("abort", stop);
      return this.#last;
    });
  }

  /** The id of the stream, once the gateway has told it. */
  get streamId() {
    return this.#streamId;
  }

  /** Stop the reply. Its text so far is kept; its last event is `done` with the reason `user_stop`. Throws SluiceError.
   *
   * A question that no gateway has answered, because the connection is lost, is not sent again: the last event is an `error`.
   * @returns {Promise<void>} */
  async stop() {
    this.#isStopped = true;
    this.#giveUp();
    const id = await this.#known.promise;
    if (id === null || this.#over) return;
    await this.#requests.json("POST", `/messages/stream/${id}/stop`);
  }

  /** Read no further. The reply itself goes on for as long as the gateway waits for readers. */
  close() {
    this.#connection.close();
  }

  /** @returns {AsyncGenerator<ReplyEvent, void, void>} */
  async *[Symbol.asyncIterator]() {
    while (true) {
      if (this.#gather && this.#queue.length) await nextFrame();
      const events = this.#queue.splice(0);
      yield* events;
      if (events.length) continue;
      if (this.#over) return;
      await new Promise((resolve) => {
        this.#wake = () => resolve(undefined);
      });
    }
  }

  /** Send a stopped question no more. */
  #giveUp() {
    if (this.#isStopped && this.#streamId === null && this.state === "waiting") this.#connection.close();
  }

  /** @param {string | null} lastEventId @param {AbortSignal} signal */
  #connect(lastEventId, signal) {
    if (this.#streamId === null && this.#start) return this.#start(lastEventId, signal);
    const headers = { Accept: "text/event-stream, application/json", ...(lastEventId && { "Last-Event-ID": lastEventId }) };
    return this.#requests.send("GET", `/messages/stream/${this.#streamId}`, { headers, signal });
  }

  /** @param {string | null} id */
  #learnId(id) {
    if (!id) return;
    this.#streamId = id;
    this.#known.resolve(id);
  }

  /** @param {ReplyEvent} event @returns {boolean} */
  #take(event) {
    if (event.type === "metadata") {
      Object.assign(this, this.#before, { deltas: 0 }); // a second one: the stream begins again
      this.metadata = event;
      this.#learnId(event.stream_id);
    }
    if (TEXTS.has(event.type)) this.deltas += 1;
    if (event.type === "chunk") this.text += event.content;
    if (event.type === "reasoning") this.reasoning += event.content;
    const last = event.type === "done" || event.type === "error";
    if (last) this.#last = event;
    if (last && typeof event.full_content === "string") this.text = event.full_content;
    this.#tell(event);
    return last;
  }

  /** @param {ReplyEvent} event */
  #tell(event) {
    const latest = this.#queue.at(-1);
    if (latest && latest.type === event.type && TEXTS.has(event.type)) latest.content += event.content ?? "";
    else this.#queue.push({ ...event });
    this.#wake();
  }

  /** @param {import("./connection.js").State} state */
  #enter(state) {
    this.state = state;
    this.onstate?.(state);
    this.#giveUp();
  }

  /** @param {import("./requests.js").SluiceError | null} error */
  #end(error) {
    const isUnasked = this.#isStopped && this.#streamId === null;
    const failure = error ?? (isUnasked ? new SluiceError("The question was stopped before a gateway took it.") : null);
    if (failure && !this.#last) {
      const { status, code, message, errors, retryAfterS } = failure;
      this.#last = { type: "error", code, message, status, errors, retry_after_s: retryAfterS };
      this.#tell(this.#last);
    }
    this.#over = true;
    this.#known.resolve(null);
    this.#wake();
  }
}

/**
 * send: the request that begins the reply; null: follow the reply of `streamId`. text, reasoning: what it goes on from.
 * @typedef {object} Start
 * @property {((lastEventId: string | null, signal: AbortSignal) => Promise<Response>) | null} send
 * @property {string} [streamId]
 * @property {string} [text]
 * @property {string} [reasoning]
 */

/**
 * @typedef {object} MoreReplyOptions
 * @property {AbortSignal} [signal] stops the reply
 * @property {boolean} [gather] one event per animation frame at most, for a page (true where there are frames)
 * @typedef {import("./connection.js").ConnectionOptions & MoreReplyOptions} ReplyOptions
 */

/** Wait for the next animation frame; a hidden tab has none.
 * @returns {Promise<void>} */
function nextFrame() {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 250);
    requestAnimationFrame(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** @template T @returns {PromiseWithResolvers<T>} */
function withResolvers() {
  /** @type {any} */
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
