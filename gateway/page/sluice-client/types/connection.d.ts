/** Keeps one stream of events open over lost connections. */
import { SluiceError } from "./requests.js";
export type State = "connecting" | "open" | "waiting" | "resumed" | "ended";
export type Listener = {
    /**
     * the first request may be refused by a gateway that is not ready: it says so at once, instead of waiting
     */
    asks?: boolean;
    /**
     * sends the request
     */
    connect: (lastEventId: string | null, signal: AbortSignal) => Promise<Response>;
    /**
     * hears of each accepted request
     */
    answered?: (response: Response) => void;
    /**
     * takes a frame; true: it was the last one
     */
    frame: (frame: import("./event_stream.js").Frame) => boolean;
    state: (state: State) => void;
    /**
     * hears the end, once: null if nothing failed
     */
    ended: (error: SluiceError | null) => void;
};
export type ConnectionOptions = {
    /**
     * the shortest pause before another try (1,000 ms)
     */
    firstMs?: number;
    /**
     * the longest one (30,000 ms)
     */
    mostMs?: number;
    /**
     * give up after so long without an answer (600 s)
     */
    patienceS?: number;
    /**
     * a connection silent for so long is lost (60 s); the gateway sends a comment every 15 s
     */
    silenceS?: number;
};
export declare class Connection {
    #private;
    /**
     * @param {Listener} listener
     * @param {ConnectionOptions} [options]
     */
    constructor(listener: Listener, { patienceS, silenceS, ...pauses }?: ConnectionOptions);
    /** Close the connection; nothing is told afterwards but the end. */
    close(): void;
    /** Run until the last frame, a refusal, or `close`. Never throws.
     * @returns {Promise<void>} */
    run(): Promise<void>;
}
