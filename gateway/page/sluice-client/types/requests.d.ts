/** Sends requests to a gateway and makes its refusals errors. */
/** A request that the gateway refused, or that did not reach it. */
export declare class SluiceError extends Error {
    /** HTTP status; 0 if there was no answer. */
    status: number;
    /** For programs: "not_found", "no_worker", … */
    code: string;
    /** Of a body that was refused: each wrong field. */
    errors: FieldError[];
    /** Seconds until another try makes sense, if the gateway says so. */
    retryAfterS: number | null;
    /**
     * @param {string} message
     * @param {{status?: number, code?: string, errors?: FieldError[], retryAfterS?: number | null}} [more]
     */
    constructor(message: string, { status, code, errors, retryAfterS }?: {
        status?: number;
        code?: string;
        errors?: FieldError[];
        retryAfterS?: number | null;
    });
}
export type FieldError = {
    /**
     * such as "content.1.image_url.url"
     */
    field: string;
    message: string;
};
export type RequestOptions = {
    /**
     * sent as JSON; a Blob is sent as it is
     */
    body?: unknown;
    headers?: Record<string, string>;
    signal?: AbortSignal;
};
/**
 * @typedef {object} FieldError
 * @property {string} field such as "content.1.image_url.url"
 * @property {string} message
 */
/**
 * @typedef {object} RequestOptions
 * @property {unknown} [body] sent as JSON; a Blob is sent as it is
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 */
export declare class Requests {
    #private;
    /**
     * @param {string} url of the gateway, with its path prefix if it has one
     * @param {string | (() => string) | undefined} key
     * @param {typeof fetch} fetcher
     */
    constructor(url: string, key: string | (() => string) | undefined, fetcher: typeof fetch);
    /** Send a request and return the response, whatever its status.
     * @param {string} method
     * @param {string} path
     * @param {RequestOptions} [options]
     * @returns {Promise<Response>} */
    send(method: string, path: string, { body, headers, signal }?: RequestOptions): Promise<Response>;
    /** Return a WebSocket that is being opened. Throws SluiceError. @param {string} path @returns {WebSocket} */
    socket(path: string): WebSocket;
    /** The API key, empty without one. */
    get key(): string;
    /** Send a request and return its answer. Throws SluiceError if it is refused or not answered.
     * @param {string} method
     * @param {string} path
     * @param {RequestOptions} [options]
     * @returns {Promise<Response>} */
    ask(method: string, path: string, options?: RequestOptions): Promise<Response>;
    /** Return the answer's JSON, null for an empty one. Throws SluiceError.
     * @param {string} method
     * @param {string} path
     * @param {RequestOptions} [options]
     * @returns {Promise<any>} */
    json(method: string, path: string, options?: RequestOptions): Promise<any>;
}
/** Wait for an answer, or for its body. Throws SluiceError if the connection is lost, and the signal's own error if that is aborted.
 * @template T @param {Promise<T>} answer @param {AbortSignal} [signal] @returns {Promise<T>} */
export declare function answered<T>(answer: Promise<T>, signal?: AbortSignal): Promise<T>;
/** Return the error that a refused request's answer describes.
 * @param {Response} response
 * @returns {Promise<SluiceError>} */
export declare function refusalOf(response: Response): Promise<SluiceError>;
