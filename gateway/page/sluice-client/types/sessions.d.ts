/** Sessions and their messages. */
import { Live } from "./live.js";
export type Session = {
    id: number;
    uuid: string;
    key: string;
    title: string;
    /**
     * ISO 8601, UTC
     */
    created_at: string;
    /**
     * ISO 8601, UTC
     */
    updated_at: string;
    /**
     * a reply is being written
     */
    live: boolean;
    /**
     * it has members
     */
    room: boolean;
    /**
     * the last message of the branch that was chosen; null: the latest message
     */
    leaf_id: number | null;
};
export type Message = {
    id: number;
    uuid: string;
    role: string;
    content: string;
    status: string;
    [field: string]: any;
};
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
export declare class Sessions {
    #private;
    /** @param {import("./requests.js").Requests} requests */
    constructor(requests: import("./requests.js").Requests);
    /** Return sessions, the latest first.
     * @param {{q?: string, before?: number | string, limit?: number, all?: boolean}} [search] q: text to look for;
     *   before: the last session of the previous page; all: also those that agents use
     * @returns {Promise<Session[]>} */
    list({ q, before, limit, all }?: {
        q?: string;
        before?: number | string;
        limit?: number;
        all?: boolean;
    }): Promise<Session[]>;
    /** @param {string} [title] @returns {Promise<Session>} */
    create(title?: string): Promise<Session>;
    /** @param {number | string} session @returns {Promise<Session>} */
    get(session: number | string): Promise<Session>;
    /** @param {number | string} session @param {string} title @returns {Promise<Session>} */
    rename(session: number | string, title: string): Promise<Session>;
    /** Delete a session with its messages. Running replies are stopped.
     * @param {number | string} session @returns {Promise<void>} */
    delete(session: number | string): Promise<void>;
    /** Return messages, the oldest first.
     * @param {number | string} session
     * @param {{after?: number, limit?: number, path?: boolean}} [page] after: the id of the last message of the previous page;
     *   path: only those of the branch that is shown
     * @returns {Promise<Message[]>} */
    messages(session: number | string, { after, limit, path: onlyPath }?: {
        after?: number;
        limit?: number;
        path?: boolean;
    }): Promise<Message[]>;
    /** Return the whole conversation as a file.
     * @param {number | string} session
     * @param {"json" | "md"} format
     * @returns {Promise<Blob>} */
    export(session: number | string, format: "json" | "md"): Promise<Blob>;
    /** Follow what others do in a session: `message`, `reply_started` and `reply_ended`.
     * @param {number | string} session
     * @param {import("./connection.js").ConnectionOptions} [options]
     * @returns {Live} */
    follow(session: number | string, options?: import("./connection.js").ConnectionOptions): Live;
}
