/** Reads Server-Sent Events from bytes, as they arrive. */
export type Frame = {
    /**
     * the event's name; "message" if the stream gives none
     */
    event: string;
    /**
     * its `data` lines, joined by line feeds; never empty
     */
    data: string;
};
/** Parses one response. A frame that is cut off is dropped, as the specification says. */
export declare class EventStreamParser {
    #private;
    /** The id of the last whole frame.
     * @type {string | null} */
    lastEventId: string | null;
    /** How long the server asks to wait before the next request, in milliseconds.
     * @type {number | null} */
    retryMs: number | null;
    /** Return the frames that these bytes complete.
     * @param {Uint8Array} bytes
     * @returns {Frame[]} */
    push(bytes: Uint8Array): Frame[];
}
