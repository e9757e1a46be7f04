/** Events that wait for the loop that iterates over them. */

export class EventQueue {
  #events = /** @type {any[]} */ ([]);
  #over = false;
  #error = /** @type {Error | null} */ (null);
  #wake = () => {};

  /** @param {any} event */
  push(event) {
    this.#events.push(event);
    this.#wake();
  }

  /** End the loop after the events that wait. @param {Error | null} [error] the loop throws it */
  end(error = null) {
    this.#error = error;
    this.#over = true;
    this.#wake();
  }

  /** @returns {AsyncGenerator<any, void, void>} */
  async *[Symbol.asyncIterator]() {
    while (true) {
      const events = this.#events.splice(0);
      yield* events;
      if (events.length) continue;
      if (this.#error) throw this.#error;
      if (this.#over) return;
      await new Promise((resolve) => {
        this.#wake = () => resolve(undefined);
      });
    }
  }
}
