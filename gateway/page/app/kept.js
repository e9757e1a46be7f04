/** What the browser keeps for the visitor. Where it keeps nothing, because it is full or may not, the page remembers until it is closed. */

const OURS = "sluice-";

class Kept {
  #storage;
  #remembered = /** @type {Map<string, string>} */ (new Map());

  /** @param {() => Storage} storage throws where the browser allows none */
  constructor(storage) {
    this.#storage = storage;
  }

  /** @param {string} name @returns {string | null} */
  get(name) {
    return this.#remembered.get(name) ?? this.#trying((storage) => storage.getItem(name)) ?? null;
  }

  /** @param {string} name @param {string} text */
  set(name, text) {
    this.#remembered.delete(name);
    const isKept = this.#trying((storage) => {
      storage.setItem(name, text);
      return true;
    });
    if (!isKept) this.#remembered.set(name, text);
  }

  /** @param {string} name */
  remove(name) {
    this.#remembered.delete(name);
    this.#trying((storage) => storage.removeItem(name));
  }

  /** Remove all that this page keeps. */
  clear() {
    this.#remembered.clear();
    for (const name of this.#trying(Object.keys) ?? []) if (name.startsWith(OURS)) this.remove(name);
  }

  /** @template T @param {(storage: Storage) => T} work @returns {T | undefined} */
  #trying(work) {
    try {
      return work(this.#storage());
    } catch {
      return undefined;
    }
  }
}

/** For all tabs, until the visitor removes it. */
export const inBrowser = new Kept(() => localStorage);
/** For this tab, until it is closed. */
export const inTab = new Kept(() => sessionStorage);
