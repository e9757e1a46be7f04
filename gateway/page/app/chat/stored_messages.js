/** Reads the messages of a session that is shown: all, and later only those that may have changed. */

import { sluice } from "../gateway.js";

const PAGE = 1000;

/** Return the messages of the branch that is shown. @param {string} session uuid @param {number} [from] id of the first one that is wanted
 * @returns {Promise<any[]>} */
export async function storedMessages(session, from = 1) {
  const stored = [];
  while (true) {
    const after = stored.at(-1)?.id ?? from - 1;
    const page = await sluice.sessions.messages(session, { path: true, limit: PAGE, after });
    if (!page.length) return stored; // one with large messages, such as images, has fewer than `limit`
    stored.push(...page);
  }
}

/** Loads messages again. The last one that is whole is loaded too: if it is still in the branch, then so are those before it. */
export class MessageLoads {
  #shown;
  #take;
  #whole = new WeakSet(); // messages that are shown as the gateway has them
  #isLoading = false;
  #isStale = false;

  /** @param {{messages: any[], closed: boolean}} shown
   * @param {(before: any[], stored: any[]) => void} take hears of the messages that stay, and of those behind them */
  constructor(shown, take) {
    this.#shown = shown;
    this.#take = take;
  }

  /** These are shown as the gateway has them, but for those that are being written or were refused. @param {any[]} messages */
  areWhole(messages) {
    for (const message of messages) if (!message.live && !message.refused) this.#whole.add(message);
  }

  /** @param {any} message */
  changes(message) {
    this.#whole.delete(message);
  }

  /** The branch may be another one: load all the next time. */
  forget() {
    this.#whole = new WeakSet();
  }

  /** Load what may have changed. Called meanwhile, it loads once more. @param {string} session uuid */
  async load(session) {
    this.#isStale = true;
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      while (this.#isStale && !this.#shown.closed) {
        this.#isStale = false;
        await this.#loadOnce(session);
      }
    } finally {
      this.#isLoading = false;
    }
  }

  /** @param {string} session */
  async #loadOnce(session) {
    const changed = this.#shown.messages.findIndex((message) => !this.#whole.has(message));
    const whole = changed < 0 ? [...this.#shown.messages] : this.#shown.messages.slice(0, changed);
    const last = whole.pop();
    const stored = await storedMessages(session, last?.id);
    if (this.#isStale) return; // else a reply that has ended meanwhile would begin again
    if (!last || stored[0]?.id === last.id) return this.#take(whole, stored);
    this.forget();
    this.#isStale = true;
  }
}

/** Give a message that is shown what is stored of it. @param {any} shown @param {any} stored @returns {boolean} true if it differs now */
export function mend(shown, stored) {
  const differs = Object.keys(stored).some((name) => !isEqual(shown[name], stored[name]));
  if (differs) Object.assign(shown, stored);
  return differs;
}

/** @param {any} one @param {any} other @returns {boolean} */
function isEqual(one, other) {
  if (one === other) return true;
  if (one === null || other === null || typeof one !== "object" || typeof other !== "object") return false;
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => isEqual(one[name], other[name]));
}
