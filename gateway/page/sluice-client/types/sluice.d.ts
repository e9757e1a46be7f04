/** A gateway, seen from a page or a program. */
import { Admin } from "./admin.js";
import { Attachments } from "./attachments.js";
import { Reply } from "./reply.js";
import { Room } from "./room.js";
import { Rooms } from "./rooms.js";
import { Sessions } from "./sessions.js";
import { Templates } from "./templates.js";
export type SluiceOptions = {
    /**
     * the gateway's address; in a page its own origin without it
     */
    url?: string;
    /**
     * an API key, or a function that returns the current one
     */
    key?: string | (() => string);
    /**
     * another fetch
     */
    fetch?: typeof fetch;
};
export type Question = {
    /**
     * the session to continue, by id, uuid or key; without one a new session begins
     */
    session?: number | string | null;
    /**
     * a key of your own; else each question has a new one
     */
    idempotencyKey?: string;
    model?: string;
    system_prompt?: string;
    template_id?: number;
    temperature?: number;
    top_p?: number;
    max_tokens?: number;
    stop?: string | string[];
    seed?: number;
    tools?: unknown[];
    tool_choice?: unknown;
    response_format?: unknown;
    /**
     * settings of the model server, such as `top_k`
     */
    options?: Record<string, unknown>;
    /**
     * a device that gets the reply too
     */
    mirror?: string;
};
export type Content = string | Array<{
    type: string;
    [field: string]: unknown;
}>;
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
export declare class Sluice {
    #private;
    sessions: Sessions;
    rooms: Rooms;
    templates: Templates;
    attachments: Attachments;
    admin: Admin;
    /** @param {SluiceOptions} [options] */
    constructor({ url, key, fetch: fetcher }?: SluiceOptions);
    /** Ask the model. The reply begins at once, and goes on while the connection is lost.
     *
     * The question is sent again after a lost connection, under the same Idempotency-Key: it is asked once.
     * @param {Content} content
     * @param {Question & import("./reply.js").ReplyOptions} [options]
     * @returns {Reply} */
    ask(content: Content, options?: Question & import("./reply.js").ReplyOptions): Reply;
    /** Ask for another reply to a question, beside those that it has; with `content` put another question beside it.
     * @param {number} messageId of the question, or of one of its replies
     * @param {Question & import("./reply.js").ReplyOptions & {content?: Content}} [options]
     * @returns {Reply} */
    regenerate(messageId: number, { content, ...options }?: Question & import("./reply.js").ReplyOptions & {
        content?: Content;
    }): Reply;
    /** Go on with a reply that was cut off. `text` of the result begins with the text so far.
     * @param {{id: number, content: string, reasoning?: string | null}} message the reply, as `sessions.messages` gives it
     * @param {Question & import("./reply.js").ReplyOptions} [options]
     * @returns {Reply} */
    continueReply({ id, content, reasoning }: {
        id: number;
        content: string;
        reasoning?: string | null;
    }, options?: Question & import("./reply.js").ReplyOptions): Reply;
    /** Show the branch of this message. Throws SluiceError.
     * @param {number} messageId
     * @returns {Promise<import("./sessions.js").Session>} */
    choose(messageId: number): Promise<import("./sessions.js").Session>;
    /** Try a template. Nothing is stored.
     * @param {number} templateId
     * @param {Content} content
     * @param {import("./reply.js").ReplyOptions} [options]
     * @returns {Reply} */
    tryTemplate(templateId: number, content: Content, options?: import("./reply.js").ReplyOptions): Reply;
    /** Follow a reply from its beginning, running or ended, for example one that another tab began.
     * @param {string} streamId
     * @param {import("./reply.js").ReplyOptions} [options]
     * @returns {Reply} */
    follow(streamId: string, options?: import("./reply.js").ReplyOptions): Reply;
    /** Stop a reply that somebody asked for. Its text so far is kept. Throws SluiceError.
     * @param {string} streamId
     * @returns {Promise<void>} */
    stop(streamId: string): Promise<void>;
    /** Be in a room: hear and say what is said there, until `close()`.
     * @param {string} key of the room
     * @param {import("./room.js").RoomOptions} [options]
     * @returns {Room} */
    room(key: string, options?: import("./room.js").RoomOptions): Room;
    /** Return the MQTT workers that are known. Throws SluiceError.
     * @returns {Promise<any[]>} */
    workers(): Promise<any[]>;
    /** Return the names of the models. Throws SluiceError.
     * @returns {Promise<string[]>} */
    models(): Promise<string[]>;
    /** Return the state and the numbers of the gateway. Throws SluiceError.
     * @returns {Promise<any>} */
    metrics(): Promise<any>;
}
