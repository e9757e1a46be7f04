/** Sends requests to a gateway and makes its refusals errors. */

/** A request that the gateway refused, or that did not reach it. */
export class SluiceError extends Error {
  /**
   * @param {string} message
   * @param {{status?: number, code?: string, errors?: FieldError[], retryAfterS?: number | null}} [more]
   */
  constructor(message, { status = 0, code = "unreachable", errors = [], retryAfterS = null } = {}) {
    super(message);
    this.name = "SluiceError";
    /** HTTP status; 0 if there was no answer. */
    this.status = status;
    /** For programs: "not_found", "no_worker", … */
    this.code = code;
    /** Of a body that was refused: each wrong field. */
    this.errors = errors;
    /** Seconds until another try makes sense, if the gateway says so. */
    this.retryAfterS = retryAfterS;
  }
}

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

export class Requests {
  #root;
  #key;
  #fetch;

  /**
   * @param {string} url of the gateway, with its path prefix if it has one
   * @param {string | (() => string) | undefined} key
   * @param {typeof fetch} fetcher
   */
  constructor(url, key, fetcher) {
    this.#root = url.replace(/\/+$/, "");
    this.#key = key;
    this.#fetch = fetcher;
  }

  /** Send a request and return the response, whatever its status.
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<Response>} */
  send(method, path, { body, headers = {}, signal } = {}) {
    const { key } = this;
    const isBlob = body instanceof Blob;
    /** @type {Record<string, string>} */
    const all = { ...headers };
    if (key) all.Authorization = `Bearer ${key}`;
    if (isBlob) all["Content-Type"] ??= body.type || "application/octet-stream";
    else if (body !== undefined || method !== "GET") all["Content-Type"] = "application/json";
    return this.#fetch(this.#root + path, {
      method,
      headers: all,
      body: body === undefined ? null : isBlob ? body : JSON.stringify(body),
      signal: signal ?? null,
      cache: "no-store",
      keepalive: method === "DELETE", // also if the page is closed at once
    });
  }

  /** Return a WebSocket that is being opened. Throws SluiceError. @param {string} path @returns {WebSocket} */
  socket(path) {
    if (!globalThis.WebSocket) throw new SluiceError("This runtime has no WebSocket: node 20 has it with --experimental-websocket.", { status: 501, code: "not_supported" });
    const url = new URL(this.#root + path, globalThis.location?.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return new WebSocket(url);
  }

  /** The API key, empty without one. */
  get key() {
    return (typeof this.#key === "function" ? this.#key() : this.#key) ?? "";
  }

  /** Send a request and return its answer. Throws SluiceError if it is refused or not answered.
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<Response>} */
  async ask(method, path, options = {}) {
    const response = await answered(this.send(method, path, options), options.signal);
    if (!response.ok) throw await refusalOf(response);
    return response;
  }

  /** Return the answer's JSON, null for an empty one. Throws SluiceError.
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<any>} */
  async json(method, path, options = {}) {
    const response = await this.ask(method, path, { ...options, headers: { Accept: "application/json", ...options.headers } });
    const text = await answered(response.text(), options.signal);
    try {
      return text ? JSON.parse(text) : null;
    } catch {
      throw new SluiceError("The answer does not come from a gateway: it is no JSON.");
    }
  }
}

/** Wait for an answer, or for its body. Throws SluiceError if the connection is lost, and the signal's own error if that is aborted.
 * @template T @param {Promise<T>} answer @param {AbortSignal} [signal] @returns {Promise<T>} */
export async function answered(answer, signal) {
  try {
    return await answer;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new SluiceError(`The gateway did not answer: ${/** @type {Error} */ (error).message}`);
  }
}

/** Return the error that a refused request's answer describes.
 * @param {Response} response
 * @returns {Promise<SluiceError>} */
export async function refusalOf(response) {
  const text = await response.text().catch(() => "");
  const { status } = response;
  const retryAfter = Number(response.headers.get("Retry-After") ?? "");
  const retryAfterS = response.headers.has("Retry-After") && retryAfter >= 0 ? retryAfter : null;
  let problem;
  try {
    problem = JSON.parse(text);
  } catch {
    problem = null; // from a proxy in between
  }
  if (problem === null || typeof problem !== "object") {
    return new SluiceError(`HTTP ${status} ${response.statusText}`.trim(), { status, code: `http_${status}`, retryAfterS });
  }
  const message = String(problem.detail ?? problem.title ?? `HTTP ${status}`);
  const errors = Array.isArray(problem.errors) ? problem.errors : [];
  return new SluiceError(message, { status, code: String(problem.code ?? `http_${status}`), errors, retryAfterS });
}
