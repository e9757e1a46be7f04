/** A reply while it is written. */
export type ReplyEvent = {
    type: string;
    content?: string;
    [field: string]: any;
};
/**
 * One reply: iterate over it, once, for its events. It goes on over lost connections; no text is lost or repeated.
 * Leaving the loop does not stop it: use `stop()` or `close()`.
 */
export declare class Reply {
    #private;
    /** The text so far. */
    text: string;
    /** The model's reasoning so far. */
    reasoning: string;
    /** How many pieces of text have come; of a reply that streams, about its tokens. */
    deltas: number;
    /** @type {import("./connection.js").State} */
    state: import("./connection.js").State;
    /** The first event: ids of session, messages and stream.
     * @type {ReplyEvent | null} */
    metadata: ReplyEvent | null;
    /** Called at each new state.
     * @type {((state: import("./connection.js").State) => void) | null} */
    onstate: ((state: import("./connection.js").State) => void) | null;
    /** Resolves to the last event, `done` or `error`, or to null after `close()`.
     * @type {Promise<ReplyEvent | null>} */
    finished: Promise<ReplyEvent | null>;
    /**
     * @param {import("./requests.js").Requests} requests
     * @param {Start} start
     * @param {ReplyOptions} options
     */
    constructor(requests: import("./requests.js").Requests, start: Start, options: ReplyOptions);
    /** The id of the stream, once the gateway has told it. */
    get streamId(): string | null;
    /** Stop the reply. Its text so far is kept; its last event is `done` with the reason `user_stop`. Throws SluiceError.
     *
     * A question that no gateway has answered, because the connection is lost, is not sent again: the last event is an `error`.
     * @returns {Promise<void>} */
    stop(): Promise<void>;
    /** Read no further. The reply itself goes on for as long as the gateway waits for readers. */
    close(): void;
    /** @returns {AsyncGenerator<ReplyEvent, void, void>} */
    [Symbol.asyncIterator](): AsyncGenerator<ReplyEvent, void, void>;
}
export type Start = {
    send: ((lastEventId: string | null, signal: AbortSignal) => Promise<Response>) | null;
    streamId?: string;
    text?: string;
    reasoning?: string;
};
export type MoreReplyOptions = {
    /**
     * stops the reply
     */
    signal?: AbortSignal;
    /**
     * one event per animation frame at most, for a page (true where there are frames)
     */
    gather?: boolean;
};
export type ReplyOptions = import("./connection.js").ConnectionOptions & MoreReplyOptions;
