/** Pauses between requests that fail. */

const MOST_TIMER_MS = 2 ** 31 - 1; // a timer that shall wait longer ends at once

const wakes = /** @type {Set<() => void>} */ (new Set());

/** End all pauses: every connection that is lost is tried again at once, whatever its server asked for. */
export function retryNow() {
  for (const wake of [...wakes]) wake();
}

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
   * @param {number} mostMs what is left of the patience: no server may ask for more
   * @param {AbortSignal} signal ends the pause
   * @returns {Promise<number>} how long it was, in milliseconds; without the time for which the machine slept */
  async pause(askedMs, mostMs, signal) {
    const longest = Math.min(this.#mostMs, this.#firstMs * 2 ** this.#failures);
    this.#failures += 1;
    const ms = Math.min(MOST_TIMER_MS, mostMs, Math.max(askedMs ?? 0, longest * (0.5 + Math.random() / 2)));
    const begunAt = performance.now();
    const isWoken = await sleepUntilWoken(ms, signal);
    return isWoken ? Math.min(performance.now() - begunAt, ms) : ms;
  }
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<boolean>} false if nothing has woken it
 */
function sleepUntilWoken(ms, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(true);
    const over = new AbortController();
    const timer = setTimeout(() => end(false), ms);
    const wake = () => end(true);
    /** @param {boolean} isWoken */
    function end(isWoken) {
      clearTimeout(timer);
      wakes.delete(wake);
      over.abort();
      resolve(isWoken);
    }
    const options = { signal: over.signal };
    wakes.add(wake);
    signal.addEventListener("abort", wake, options);
    globalThis.addEventListener?.("online", wake, options);
    globalThis.document?.addEventListener("visibilitychange", () => document.visibilityState === "visible" && wake(), options);
  });
}
