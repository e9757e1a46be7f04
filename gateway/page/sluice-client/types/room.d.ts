/** One room: messages, replies, people and typing as they come, over a WebSocket. */
export type Author = import("./rooms.js").Author;
export type Person = {
    author: Author;
    status: string;
    metadata: Record<string, any>;
};
export type GrowingReply = {
    messageId: number;
    questionId: number;
    text: string;
    reasoning: string;
};
export type RoomOptions = {
    /**
     * your name among the others; only where the gateway has no keys
     */
    as?: string;
    /**
     * id of the last message that you have; without it you hear only new ones
     */
    after?: number;
    /**
     * the shortest pause before another try (1,000 ms)
     */
    firstMs?: number;
    /**
     * the longest one (30,000 ms)
     */
    mostMs?: number;
};
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
export declare class Room {
    #private;
    /** @type {import("./connection.js").State} */
    state: import("./connection.js").State;
    /** Called at each new state. @type {((state: import("./connection.js").State) => void) | null} */
    onstate: ((state: import("./connection.js").State) => void) | null;
    /** Those who are here, you too. @type {Person[]} */
    people: Person[];
    /** @type {Author[]} */
    typing: Author[];
    /** The replies that are being written, by stream id. @type {Map<string, GrowingReply>} */
    replies: Map<string, GrowingReply>;
    /** You, as the others see you; null until you are in. @type {Author | null} */
    me: Author | null;
    /**
     * @param {import("./requests.js").Requests} requests
     * @param {string} name key of the room
     * @param {RoomOptions} [options]
     */
    constructor(requests: import("./requests.js").Requests, name: string, { as, after, ...pauses }?: RoomOptions);
    /** Leave the room. */
    close(): void;
    /** Say something. Resolves when it is stored; throws SluiceError if it is refused.
     *
     * While the connection is lost it waits, and sends the message again: under its `id`, so it is said once.
     * @param {import("./sluice.js").Content} content
     * @param {{ask?: boolean, id?: string, model?: string}} [options] ask: the model shall answer, or not; without it the gateway
     *   decides: yes in a room of one person, else if the text addresses `@model`. id: one of your own, which `message:new` repeats
     * @returns {Promise<{id: string, messageId: number, streamId?: string}>} */
    say(content: import("./sluice.js").Content, { id, ...options }?: {
        ask?: boolean;
        id?: string;
        model?: string;
    }): Promise<{
        id: string;
        messageId: number;
        streamId?: string;
    }>;
    /** Tell the others that you type, or type no more. Call it at each key. @param {boolean} typing */
    types(typing: boolean): void;
    /** Tell the others your status, such as "away". It is told again after a lost connection.
     * @param {string} status @param {Record<string, any>} [metadata] @returns {Promise<any>} */
    presence(status: string, metadata?: Record<string, any>): Promise<any>;
    /** @returns {AsyncGenerator<any, void, void>} */
    [Symbol.asyncIterator](): AsyncGenerator<any, void, void>;
}
