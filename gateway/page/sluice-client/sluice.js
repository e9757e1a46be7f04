/** A gateway, seen from a page or a program. */

import { Admin } from "./admin.js";
import { Attachments } from "./attachments.js";
import { Reply } from "./reply.js";
import { randomKey } from "./random_key.js";
import { Requests } from "./requests.js";
import { Room } from "./room.js";
import { Rooms } from "./rooms.js";
import { Sessions } from "./sessions.js";
import { Templates } from "./templates.js";

/**
 * @typedef {object} SluiceOptions
 * @property {string} [url] the gateway's address; in a page its own origin without it
 * @property {string | (() => string)} [key] an API key, or a function that returns the current one
 * @property {typeof fetch} [fetch] another fetch
 */

/**
 * Settings of a question. Names, limits and meanings of the others are those of the body of POST /messages/stream.
 * @typedef {object} Question
 * @property {number | string | null} [session] the session to continue, by id, uuid or key; without one a new session begins
 * @property {string} [idempotencyKey] a key of your own; else each question has a new one
 * @property {string} [model]
 * @property {string} [system_prompt]
 * @property {number} [template_id]
 * @property {number} [temperature]
 * @property {number} [top_p]
 * @property {number} [max_tokens]
 * @property {string | string[]} [stop]
 * @property {number} [seed]
 * @property {unknown[]} [tools]
 * @property {unknown} [tool_choice]
 * @property {unknown} [response_format]
 * @property {Record<string, unknown>} [options] settings of the model server, such as `top_k`
 * @property {string} [mirror] a device that gets the reply too
 */

/** @typedef {string | Array<{type: string, [field: string]: unknown}>} Content text, or parts as in OpenAI's chat API */

export class Sluice {
  #requests;

  /** @param {SluiceOptions} [options] */
  constructor({ url = "", key, fetch: fetcher = (...request) => fetch(...request) } = {}) {
    this.#requests = new Requests(url, key, fetcher);
    this.sessions = new Sessions(this.#requests);
    this.rooms = new Rooms(this.#requests);
    this.templates = new Templates(this.#requests);
    this.attachments = new Attachments(this.#requests);
    this.admin = new Admin(this.#requests);
  }

  /** Ask the model. The reply begins at once, and goes on while the connection is lost.
   *
   * The question is sent again after a lost connection, under the same Idempotency-Key: it is asked once.
   * @param {Content} content
   * @param {Question & import("./reply.js").ReplyOptions} [options]
   * @returns {Reply} */
  ask(content, options = {}) {
    const { question, rest } = splitQuestion(options);
    return this.#begin("/messages/stream", { content, ...question }, rest);
  }

  /** Ask for another reply to a question, beside those that it has; with `content` put another question beside it.
   * @param {number} messageId of the question, or of one of its replies
   * @param {Question & import("./reply.js").ReplyOptions & {content?: Content}} [options]
   * @returns {Reply} */
  regenerate(messageId, { content, ...options } = {}) {
    const { question, rest } = splitQuestion(options);
    const body = content === undefined ? question : { content, ...question };
    return this.#begin(`/api/chatbot/messages/${messageId}/regenerate`, body, rest);
  }

  /** Go on with a reply that was cut off. `text` of the result begins with the text so far.
   * @param {{id: number, content: string, reasoning?: string | null}} message the reply, as `sessions.messages` gives it
   * @param {Question & import("./reply.js").ReplyOptions} [options]
   * @returns {Reply} */
  continueReply({ id, content, reasoning }, options = {}) {
    const { question, rest } = splitQuestion(options);
    return this.#begin(`/api/chatbot/messages/${id}/continue`, question, rest, { text: content, reasoning: reasoning ?? "" });
  }

  /** Show the branch of this message. Throws SluiceError.
   * @param {number} messageId
   * @returns {Promise<import("./sessions.js").Session>} */
  choose(messageId) {
    return this.#requests.json("POST", `/api/chatbot/messages/${messageId}/choose`);
  }

  /** Try a template. Nothing is stored.
   * @param {number} templateId
   * @param {Content} content
   * @param {import("./reply.js").ReplyOptions} [options]
   * @returns {Reply} */
  tryTemplate(templateId, content, options = {}) {
    return this.#begin(`/api/chatbot/templates/${templateId}/test`, { content }, options);
  }

  /** Follow a reply from its beginning, running or ended, for example one that another tab began.
   * @param {string} streamId
   * @param {import("./reply.js").ReplyOptions} [options]
   * @returns {Reply} */
  follow(streamId, options = {}) {
    return new Reply(this.#requests, { send: null, streamId }, options);
  }

  /** Stop a reply that somebody asked for. Its text so far is kept. Throws SluiceError.
   * @param {string} streamId
   * @returns {Promise<void>} */
  stop(streamId) {
    return this.#requests.json("POST", `/messages/stream/${encodeURIComponent(streamId)}/stop`);
  }

  /** Be in a room: hear and say what is said there, until `close()`.
   * @param {string} key of the room
   * @param {import("./room.js").RoomOptions} [options]
   * @returns {Room} */
  room(key, options = {}) {
    return new Room(this.#requests, key, options);
  }

  /** Return the MQTT workers that are known. Throws SluiceError.
   * @returns {Promise<any[]>} */
  workers() {
    return this.#requests.json("GET", "/api/chatbot/workers");
  }

  /** Return the names of the models. Throws SluiceError.
   * @returns {Promise<string[]>} */
  async models() {
    const { data } = await this.#requests.json("GET", "/v1/models");
    return data.map((/** @type {{id: string}} */ model) => model.id);
  }

  /** Return the state and the numbers of the gateway. Throws SluiceError.
   * @returns {Promise<any>} */
  metrics() {
    return this.#requests.json("GET", "/api/metrics");
  }

  /**
   * @param {string} path
   * @param {object} body
   * @param {import("./reply.js").ReplyOptions & {idempotencyKey?: string}} options
   * @param {{text: string, reasoning: string}} [before] what the reply goes on from
   */
  #begin(path, body, { idempotencyKey = randomKey(), ...options }, before) {
    const headers = {
      Accept: "text/event-stream, application/json", // a refusal as JSON, with its fields
      "Idempotency-Key": idempotencyKey,
    };
    return new Reply(
      this.#requests,
      {
        send: (lastEventId, signal) =>
          this.#requests.send("POST", path, {
            body,
            headers: lastEventId === null ? headers : { ...headers, "Last-Event-ID": lastEventId },
            signal,
          }),
        ...before,
      },
      options,
    );
  }
}

/** @param {Question & import("./reply.js").ReplyOptions} options */
function splitQuestion({ session, signal, gather, firstMs, mostMs, patienceS, silenceS, idempotencyKey, ...settings }) {
  /** @type {import("./reply.js").ReplyOptions & {idempotencyKey?: string}} */
  const rest = {};
  for (const [name, value] of Object.entries({ signal, gather, firstMs, mostMs, patienceS, silenceS, idempotencyKey })) {
    if (value !== undefined) Object.assign(rest, { [name]: value });
  }
  return { question: session == null ? settings : { session_id: session, ...settings }, rest };
}
