/** Pauses between requests that fail. */

const MOST_TIMER_MS = 2 ** 31 - 1; // a timer that shall wait longer ends at once

/** Pauses of 1 to 30 s, doubled each time, with jitter. A pause ends early when the tab shows or the network is back. */
export class Backoff {
  #firstMs;
  #mostMs;
  #failures = 0;

  /** @param {{firstMs?: number, mostMs?: number}} [options] */
  constructor({ firstMs = 1000, mostMs = 30_000 } = {}) {
    this.#firstMs = firstMs;
    this.#mostMs = mostMs;
  }

  /** Begin with the shortest pause again. */
  reset() {
    this.#failures = 0;
  }

  /** Wait for the next pause, or for at least what the server asked for.
   * @param {number | null} askedMs
   * @param {AbortSignal} signal ends the pause
   * @returns {Promise<void>} */
  async pause(askedMs, signal) {
    const longest = Math.min(this.#mostMs, this.#firstMs * 2 ** this.#failures);
    this.#failures += 1;
    await sleepUntilWoken(Math.min(MOST_TIMER_MS, Math.max(askedMs ?? 0, longest * (0.5 + Math.random() / 2))), signal);
  }
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function sleepUntilWoken(ms, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const over = new AbortController();
    const timer = setTimeout(wake, ms);
    function wake() {
      clearTimeout(timer);
      over.abort();
      resolve();
    }
    const options = { signal: over.signal };
    signal.addEventListener("abort", wake, options);
    globalThis.addEventListener?.("online", wake, options);
    globalThis.document?.addEventListener("visibilitychange", () => document.visibilityState === "visible" && wake(), options);
  });
}
