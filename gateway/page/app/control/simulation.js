/** A device or a worker that the gateway plays: its frames on MQTT, and the words that they become in the chat. */

import { Changing } from "../changes.js";
import { sluice } from "../gateway.js";

const MOST_FRAMES = 500;

/** @typedef {{sent: boolean, topic: string, payload: string}} Frame */

export class Simulation extends Changing {
  /** @type {Frame[]} */
  frames = [];
  /** The text in the chat. */
  words = "";
  /** Set once the chat has a session. @type {string | null} */
  session = null;
  /** @type {"connecting" | "running" | "over"} */
  state = "connecting";
  /** Says why it ended, if it failed. */
  problem = "";
  /** Of a worker. @type {string | null} */
  model = null;
  asking = false;
  /** Set once the device has its answer. */
  isAnswered = false;

  #part;
  #left = new AbortController();
  #follows = false;

  /** @param {"device" | "worker"} part @param {string} [text] the device's question */
  constructor(part, text) {
    super();
    this.#part = part;
    this.#run(text);
  }

  leave() {
    this.#left.abort();
  }

  /** Ask the worker. @param {string} text */
  async ask(text) {
    this.asking = true;
    this.words = "";
    this.problem = "";
    this.changed();
    try {
      await this.#read(sluice.ask(text, { model: String(this.model), signal: this.#left.signal }));
    } finally {
      this.asking = false;
      this.changed();
    }
  }

  /** @param {string | undefined} text */
  async #run(text) {
    const { signal } = this.#left;
    try {
      for await (const event of sluice.admin.simulate(this.#part, text === undefined ? { signal } : { text, signal })) this.#take(event);
      if (this.#part === "device") await this.#readStored();
    } catch (error) {
      if (!signal.aborted) this.problem = /** @type {Error} */ (error).message;
    }
    this.state = "over";
    this.changed();
  }

  /** @param {any} event */
  #take(event) {
    if (event.type === "started") {
      this.state = "running";
      this.model = event.model;
    } else if (event.type === "frame") {
      this.frames.push(event);
      if (this.frames.length > MOST_FRAMES) this.frames.shift();
      if (this.#part === "device" && !event.sent) this.#hearAnswer(event);
    } else if (event.type === "ended") {
      this.problem = event.message;
      this.isAnswered = event.reason === "answered";
    }
    this.changed();
  }

  /** The first frame to a device names the session: read along there. @param {Frame} frame */
  async #hearAnswer({ payload }) {
    const { session = null } = parsed(payload) ?? {};
    if (session === null || this.#follows) return;
    this.#follows = true;
    this.session = session;
    const live = sluice.sessions.follow(session);
    this.#left.signal.addEventListener("abort", () => live.close());
    try {
      for await (const event of live) {
        if (event.type !== "reply_started") continue;
        await this.#read(sluice.follow(event.stream_id, { signal: this.#left.signal }));
        break;
      }
    } catch {
      // #readStored has the text
    } finally {
      live.close();
    }
  }

  /** @param {import("../../sluice-client/reply.js").Reply} reply */
  async #read(reply) {
    try {
      for await (const event of reply) {
        if (event.type === "metadata") this.session = event.session_key;
        this.words = reply.text;
        this.changed();
      }
    } catch (error) {
      if (!this.#left.signal.aborted) this.problem = /** @type {Error} */ (error).message;
    }
  }

  /** Show the reply as it is kept: a short one may have ended before it could be read along. */
  async #readStored() {
    if (this.session === null) return;
    const messages = await sluice.sessions.messages(this.session, { path: true });
    this.words = messages.findLast((message) => message.role === "assistant")?.content ?? this.words;
  }
}

/** Return the object, null for what is no JSON. @param {string} payload @returns {Record<string, any> | null} */
export function parsed(payload) {
  try {
    return JSON.parse(payload);
  } catch {
    return null;
  }
}
