/** Pauses between requests that fail. */
/** Pauses of 1 to 30 s, doubled each time, with jitter. A pause ends early when the tab shows or the network is back. */
export declare class Backoff {
    #private;
    /** @param {{firstMs?: number, mostMs?: number}} [options] */
    constructor({ firstMs, mostMs }?: {
        firstMs?: number;
        mostMs?: number;
    });
    /** Begin with the shortest pause again. */
    reset(): void;
    /** Wait for the next pause, or for at least what the server asked for.
     * @param {number | null} askedMs
     * @param {AbortSignal} signal ends the pause
     * @returns {Promise<void>} */
    pause(askedMs: number | null, signal: AbortSignal): Promise<void>;
}
