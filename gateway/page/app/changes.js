/** Objects that views watch. */

import { useEffect, useState } from "../vendor/preact.js";

/** Tells its watchers when it has changed, once per turn of the event loop however often it changes. */
export class Changing {
  #watchers = /** @type {Set<() => void>} */ (new Set());
  #pending = false;

  changed() {
    if (this.#pending) return;
    this.#pending = true;
    queueMicrotask(() => {
      this.#pending = false;
      for (const watcher of [...this.#watchers]) watcher();
    });
  }

  /** @param {() => void} watcher @returns {() => void} ends the watching */
  watch(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}

/** Draw the view again whenever this object changes.
 * @template {Changing} T @param {T} object @returns {T} */
export function useChanges(object) {
  const [, draw] = useState(0);
  useEffect(() => {
    draw((count) => count + 1); // what changed since the first drawing
    return object.watch(() => draw((count) => count + 1));
  }, [object]);
  return object;
}
