/** Pauses between requests that fail. */
/** End all pauses: every connection that is lost is tried again at once, whatever its server asked for. */
export declare function retryNow(): void;
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
     * @param {number} mostMs what is left of the patience: no server may ask for more
     * @param {AbortSignal} signal ends the pause
     * @returns {Promise<number>} how long it was, in milliseconds; without the time for which the machine slept */
    pause(askedMs: number | null, mostMs: number, signal: AbortSignal): Promise<number>;
}
