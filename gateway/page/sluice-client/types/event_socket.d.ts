/** One WebSocket of a gateway: named events in both directions, each of ours with its acknowledgement. */
export declare class EventSocket {
    #private;
    /** Resolves when the socket is closed. @type {Promise<void>} */
    closed: Promise<void>;
    /** Use `open`.
     * @param {WebSocket} socket
     * @param {(event: string, data: any) => void} hear */
    constructor(socket: WebSocket, hear: (event: string, data: any) => void);
    /** Connect, and say who it is. Throws SluiceError.
     * @param {import("./requests.js").Requests} requests
     * @param {{userId: string | undefined, hear: (event: string, data: any) => void, signal: AbortSignal}} options
     *   userId: a name, where the gateway has no keys; hear: called with each event; signal: closes the socket
     * @returns {Promise<EventSocket>} */
    static open(requests: import("./requests.js").Requests, { userId, hear, signal }: {
        userId: string | undefined;
        hear: (event: string, data: any) => void;
        signal: AbortSignal;
    }): Promise<EventSocket>;
    /** Send an event and return the answer. Throws SluiceError if it is refused, or not answered.
     * @param {string} event
     * @param {object} data
     * @returns {Promise<any>} */
    emit(event: string, data: object): Promise<any>;
    close(): void;
}
