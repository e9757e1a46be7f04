/** Events of a stream that has no end, such as a session's. */
/** Iterate over it for its events, parsed from JSON. It reconnects by itself until `close()`, or until it is refused. */
export declare class Live {
    #private;
    /** @type {import("./connection.js").State} */
    state: import("./connection.js").State;
    /** Called at each new state. After `resumed`, load anew what you show: events may be missing.
     * @type {((state: import("./connection.js").State) => void) | null} */
    onstate: ((state: import("./connection.js").State) => void) | null;
    /** By how many milliseconds the clock here is ahead of the gateway's; 0 if the gateway does not tell its time. */
    clockAheadMs: number;
    /**
     * @param {import("./requests.js").Requests} requests
     * @param {string} path
     * @param {import("./connection.js").ConnectionOptions} [options]
     */
    constructor(requests: import("./requests.js").Requests, path: string, options?: import("./connection.js").ConnectionOptions);
    close(): void;
    /** Throws SluiceError if the stream is refused.
     * @returns {AsyncGenerator<any, void, void>} */
    [Symbol.asyncIterator](): AsyncGenerator<any, void, void>;
}
