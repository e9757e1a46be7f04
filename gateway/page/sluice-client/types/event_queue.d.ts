/** Events that wait for the loop that iterates over them. */
export declare class EventQueue {
    #private;
    /** @param {any} event */
    push(event: any): void;
    /** End the loop after the events that wait. @param {Error | null} [error] the loop throws it */
    end(error?: Error | null): void;
    /** @returns {AsyncGenerator<any, void, void>} */
    [Symbol.asyncIterator](): AsyncGenerator<any, void, void>;
}
