/** One room: messages, replies, people and typing as they come, over a WebSocket. */

import { Backoff } from "./backoff.js";
import { EventQueue } from "./event_queue.js";
import { EventSocket } from "./event_socket.js";
import { randomKey } from "./random_key.js";
import { SluiceError } from "./requests.js";

const TOLD_EVERY_MS = 2000; // that you still type; the gateway forgets it after 5 s
const ALIVE_EVERY_MS = 30_000;
const NEVER = Number.NEGATIVE_INFINITY;
const MOST_KNOWN = 1000;
const FOR_NOW = new Set(["rate_limited", "too_many_streams", "storage_failed", "draining", "internal", "too_much_missed"]);

/** @typedef {import("./rooms.js").Author} Author */
/** @typedef {{author: Author, status: string, metadata: Record<string, any>}} Person */
/** @typedef {{messageId: number, questionId: number, text: string, reasoning: string}} GrowingReply */

/**
 * @typedef {object} RoomOptions
 * @property {string} [as] your name among the others; only where the gateway has no keys
 * @property {number} [after] id of the last message that you have; without it you hear only new ones
 * @property {number} [firstMs] the shortest pause before another try (1,000 ms)
 * @property {number} [mostMs] the longest one (30,000 ms)
 */

/** Iterate over it for its events: objects with a `type` such as "message:new", and the fields that docs/http.md lists.
 *
 * It reconnects by itself until `close()`, and tells what was missed. The loop throws SluiceError if you may not
 * be in the room, or are removed from it. */
export class Room {
  /** @type {import("./connection.js").State} */
  state = "connecting";
  /** Called at each new state. @type {((state: import("./connection.js").State) => void) | null} */
  onstate = null;
  /** Those who are here, you too. @type {Person[]} */
  people = [];
  /** @type {Author[]} */
  typing = [];
  /** The replies that are being written, by stream id. @type {Map<string, GrowingReply>} */
  replies = new Map();
  /** You, as the others see you; null until you are in. @type {Author | null} */
  me = null;

  #requests;
  #name;
  #as;
  #backoff;
  #events = new EventQueue();
  #left = new AbortController();
  #socket = /** @type {EventSocket | null} */ (null);
  #opened = false;
  #after;
  #known = /** @type {Set<number>} */ (new Set());
  #toldTypingAt = NEVER;
  #status = { status: "online", metadata: {} };
  #waiting = /** @type {((_: unknown) => void)[]} */ ([]);

  /**
   * @param {import("./requests.js").Requests} requests
   * @param {string} name key of the room
   * @param {RoomOptions} [options]
   */
  constructor(requests, name, { as, after, ...pauses } = {}) {
    this.#requests = requests;
    this.#name = name;
    this.#as = as;
    this.#after = after ?? null;
    this.#backoff = new Backoff(pauses);
    this.#run();
  }

  /** Leave the room. */
  close() {
    this.#left.abort();
  }

  /** Say something. Resolves when it is stored; throws SluiceError if it is refused.
   *
   * While the connection is lost it waits, and sends the message again: under its `id`, so it is said once.
   * @param {import("./sluice.js").Content} content
   * @param {{ask?: boolean, id?: string, model?: string}} [options] ask: the model shall answer, or not; without it the gateway
   *   decides: yes in a room of one person, else if the text addresses `@model`. id: one of your own, which `message:new` repeats
   * @returns {Promise<{id: string, messageId: number, streamId?: string}>} */
  async say(content, { id = randomKey(), ...options } = {}) {
    this.types(false);
    while (true) {
      try {
        return await this.#emit("message:send", { content, id, ...options });
      } catch (error) {
        if (/** @type {SluiceError} */ (error).status !== 0 || this.state === "ended") throw error;
        await new Promise((resolve) => this.#waiting.push(resolve));
      }
    }
  }

  /** Tell the others that you type, or type no more. Call it at each key. @param {boolean} typing */
  types(typing) {
    const now = Date.now();
    if (typing ? now - this.#toldTypingAt < TOLD_EVERY_MS : this.#toldTypingAt === NEVER) return;
    this.#toldTypingAt = typing ? now : NEVER;
    this.#emit(typing ? "typing:start" : "typing:stop", {}).catch(() => {});
  }

  /** Tell the others your status, such as "away". It is told again after a lost connection.
   * @param {string} status @param {Record<string, any>} [metadata] @returns {Promise<any>} */
  presence(status, metadata = {}) {
    this.#status = { status, metadata };
    return this.#emit("presence:update", this.#status);
  }

  /** @returns {AsyncGenerator<any, void, void>} */
  [Symbol.asyncIterator]() {
    return this.#events[Symbol.asyncIterator]();
  }

  /** @param {string} event @param {object} data @returns {Promise<any>} */
  #emit(event, data) {
    if (!this.#socket) return Promise.reject(new SluiceError("The gateway cannot be reached."));
    return this.#socket.emit(event, { roomId: this.#name, ...data });
  }

  async #run() {
    const { signal } = this.#left;
    this.#tell("connecting");
    let error = null;
    while (!signal.aborted && !error) {
      try {
        await this.#stay(signal);
      } catch (thrown) {
        const refused = /** @type {SluiceError} */ (thrown);
        if (refused.status && !FOR_NOW.has(refused.code)) error = refused;
        if (refused.code === "too_much_missed") this.#forget();
      }
      if (signal.aborted || error) break;
      this.#tell("waiting");
      await this.#backoff.pause(null, Number.POSITIVE_INFINITY, signal);
    }
    this.#tell("ended");
    this.#events.end(signal.aborted ? null : error);
  }

  /** Be in the room until the connection is lost. @param {AbortSignal} left */
  async #stay(left) {
    const over = new AbortController();
    const end = () => over.abort();
    left.addEventListener("abort", end);
    globalThis.addEventListener?.("offline", end, { signal: over.signal });
    let alive;
    try {
      const socket = await EventSocket.open(this.#requests, {
        userId: this.#as,
        hear: (event, data) => this.#hear(event, data),
        signal: over.signal,
      });
      this.#socket = socket;
      await this.#join(socket);
      alive = setInterval(() => socket.emit("presence:update", { roomId: this.#name, ...this.#status }).catch(() => {}), ALIVE_EVERY_MS);
      await socket.closed;
    } finally {
      clearInterval(alive);
      this.#socket = null;
      left.removeEventListener("abort", end);
      over.abort();
    }
  }

  /** @param {EventSocket} socket */
  async #join(socket) {
    this.#toldTypingAt = NEVER;
    this.replies.clear(); // those that still run begin again
    const after = this.#after;
    const told = await socket.emit("room:join", { roomId: this.#name, ...(after !== null && { after }) });
    this.#after = told.after ?? after;
    this.people = told.people ?? [];
    this.typing = told.typing ?? [];
    this.me = told.author ?? null;
    this.#backoff.reset();
    this.#tell(this.#opened ? "resumed" : "open");
    this.#opened = true;
    if (this.#status.status !== "online") this.#emit("presence:update", this.#status).catch(() => {});
  }

  /** @param {import("./connection.js").State} state */
  #tell(state) {
    if (this.state === state && state !== "resumed") return;
    this.state = state;
    if (state !== "waiting") for (const wake of this.#waiting.splice(0)) wake(undefined);
    this.onstate?.(state);
  }

  /** @param {string} event @param {any} data */
  #hear(event, data) {
    if (event === "room:dismissed") return this.#socket?.close(); // and join again: refused, if we are removed
    if (data.after !== undefined) this.#after = data.after;
    if (event === "message:new" && !this.#isNew(data.messageId)) return;
    const took = this.#takes[event];
    took?.(data);
    this.#events.push({ ...data, type: event });
  }

  /** Keeps `people`, `typing` and `replies`. @type {Record<string, (data: any) => void>} */
  #takes = {
    "message:new": ({ streamId }) => this.replies.delete(streamId),
    "room:join": ({ author }) => {
      this.people = withPerson(this.people, { author, status: "online", metadata: {} });
    },
    "room:leave": ({ author }) => {
      this.people = this.people.filter((one) => !isSame(one.author, author));
      this.typing = this.typing.filter((one) => !isSame(one, author));
    },
    "presence:update": ({ author, status, metadata }) => {
      this.people = withPerson(this.people, { author, status, metadata });
    },
    "typing:start": ({ author }) => {
      this.typing = [...this.typing.filter((one) => !isSame(one, author)), author];
    },
    "typing:stop": ({ author }) => {
      this.typing = this.typing.filter((one) => !isSame(one, author));
    },
    "reply:start": ({ streamId, messageId, questionId, content = "", reasoning = "" }) => {
      this.replies.set(streamId, { messageId, questionId, text: content, reasoning });
    },
    "reply:chunk": ({ streamId, content = "", reasoning = "" }) => {
      const reply = this.replies.get(streamId);
      if (!reply) return;
      reply.text += content;
      reply.reasoning += reasoning;
    },
    "reply:done": ({ streamId, messageId }) => this.#ended(streamId, messageId),
    "reply:error": ({ streamId, messageId }) => this.#ended(streamId, messageId),
  };

  /** @param {string} streamId @param {number} messageId */
  #ended(streamId, messageId) {
    this.replies.delete(streamId);
    this.#isNew(messageId);
  }

  /** Note a whole message. @param {number} messageId @returns {boolean} false if it was told before */
  #isNew(messageId) {
    if (this.#known.has(messageId)) return false;
    this.#known.add(messageId);
    if (this.#known.size > MOST_KNOWN) this.#known.delete(/** @type {number} */ (this.#known.values().next().value));
    return true;
  }

  /** Too much was missed. */
  #forget() {
    this.#after = null;
    this.#events.push({ type: "missed" });
  }
}

/** @param {Author} one @param {Author} other */
function isSame(one, other) {
  return one.kind === other.kind && one.name === other.name;
}

/** @param {Person[]} people @param {Person} person */
function withPerson(people, person) {
  const at = people.findIndex(({ author }) => isSame(author, person.author));
  return at < 0 ? [...people, person] : people.with(at, person);
}
