/** Sessions and their messages. */

import { Live } from "./live.js";
import { answered } from "./requests.js";

/**
 * @typedef {object} Session
 * @property {number} id
 * @property {string} uuid
 * @property {string} key
 * @property {string} title
 * @property {string} created_at ISO 8601, UTC
 * @property {string} updated_at ISO 8601, UTC
 * @property {boolean} live a reply is being written
 * @property {boolean} room it has members
 * @property {number | null} leaf_id the last message of the branch that was chosen; null: the latest message
 */

/** @typedef {{id: number, uuid: string, role: string, content: string, status: string, [field: string]: any}} Message */

/** Every method throws SluiceError. A session is named by its id, uuid or key. */
export class Sessions {
  #requests;

  /** @param {import("./requests.js").Requests} requests */
  constructor(requests) {
    this.#requests = requests;
  }

  /** Return sessions, the latest first.
   * @param {{q?: string, before?: number | string, limit?: number, all?: boolean}} [search] q: text to look for;
   *   before: the last session of the previous page; all: also those that agents use
   * @returns {Promise<Session[]>} */
  list({ q, before, limit, all } = {}) {
    return this.#requests.json("GET", `/api/chatbot/sessions${query({ q, before, limit, all: all ? 1 : undefined })}`);
  }

  /** @param {string} [title] @returns {Promise<Session>} */
  create(title) {
    return this.#requests.json("POST", "/api/chatbot/sessions", { body: title === undefined ? {} : { title } });
  }

  /** @param {number | string} session @returns {Promise<Session>} */
  get(session) {
    return this.#requests.json("GET", path(session));
  }

  /** @param {number | string} session @param {string} title @returns {Promise<Session>} */
  rename(session, title) {
    return this.#requests.json("PATCH", path(session), { body: { title } });
  }

  /** Delete a session with its messages. Running replies are stopped.
   * @param {number | string} session @returns {Promise<void>} */
  delete(session) {
    return this.#requests.json("DELETE", path(session));
  }

  /** Return messages, the oldest first.
   * @param {number | string} session
   * @param {{after?: number, limit?: number, path?: boolean}} [page] after: the id of the last message of the previous page;
   *   path: only those of the branch that is shown
   * @returns {Promise<Message[]>} */
  messages(session, { after, limit, path: onlyPath } = {}) {
    return this.#requests.json("GET", `${path(session)}/messages${query({ after, limit, path: onlyPath ? 1 : undefined })}`);
  }

  /** Return the whole conversation as a file.
   * @param {number | string} session
   * @param {"json" | "md"} format
   * @returns {Promise<Blob>} */
  async export(session, format) {
    const response = await this.#requests.ask("GET", `${path(session)}/export?format=${format}`);
    return answered(response.blob());
  }

  /** Follow what others do in a session: `message`, `reply_started` and `reply_ended`.
   * @param {number | string} session
   * @param {import("./connection.js").ConnectionOptions} [options]
   * @returns {Live} */
  follow(session, options = {}) {
    return new Live(this.#requests, `${path(session)}/events`, options);
  }
}

/** @param {number | string} session */
function path(session) {
  return `/api/chatbot/sessions/${encodeURIComponent(session)}`;
}

/** @param {Record<string, string | number | undefined>} fields */
function query(fields) {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
}
