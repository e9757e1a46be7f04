/** Who else shows a session: other tabs of this browser. */

import { html } from "../../vendor/preact.js";
import { Changing, useChanges } from "../changes.js";

const HERE_MS = 10_000;
const GONE_MS = 75_000; // the timers of a hidden tab run once a minute
const TYPING_MS = 5000;
const TYPES_MS = 2000;

/** @typedef {{heardAt: number, typedAt: number}} Other */

export class Presence extends Changing {
  /** @type {Map<string, Other>} */
  others = new Map();

  #id = Math.random().toString(36).slice(2);
  #channel = /** @type {BroadcastChannel | null} */ (null);
  #told = Number.NEGATIVE_INFINITY;
  #timer;
  #session;
  #enter = () => {
    if (!this.#channel) this.#join();
  };
  #leave = () => {
    this.#tell("gone");
    this.#channel?.close();
    this.#channel = null;
  };

  /** @param {string} session uuid */
  constructor(session) {
    super();
    this.#session = session;
    this.#join();
    this.#timer = setInterval(() => {
      this.#tell("here");
      this.#forget();
    }, HERE_MS);
    addEventListener("pagehide", this.#leave);
    addEventListener("pageshow", this.#enter); // the browser may keep a page that was left, and show it again
  }

  close() {
    clearInterval(this.#timer);
    removeEventListener("pagehide", this.#leave);
    removeEventListener("pageshow", this.#enter);
    this.#leave();
  }

  /** Tell the others that the visitor types, or types no more. @param {boolean} types */
  types(types) {
    const now = performance.now();
    if (types && now - this.#told < TYPES_MS) return;
    this.#told = types ? now : Number.NEGATIVE_INFINITY;
    this.#tell(types ? "types" : "rests");
  }

  get someoneTypes() {
    return [...this.others.values()].some(({ typedAt }) => performance.now() - typedAt < TYPING_MS);
  }

  #join() {
    this.others.clear(); // those that are still here answer
    this.#told = Number.NEGATIVE_INFINITY;
    this.#channel = new BroadcastChannel(`sluice-session:${this.#session}`);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#tell("asks");
    this.changed();
  }

  /** @param {"asks" | "here" | "types" | "rests" | "gone"} what */
  #tell(what) {
    this.#channel?.postMessage({ from: this.#id, what });
  }

  /** @param {{from: string, what: string}} told */
  #hear({ from, what }) {
    if (what === "gone") this.others.delete(from);
    else {
      const before = this.others.get(from)?.typedAt ?? Number.NEGATIVE_INFINITY;
      const now = performance.now();
      const typedAt = what === "types" ? now : what === "rests" ? Number.NEGATIVE_INFINITY : before;
      this.others.set(from, { heardAt: now, typedAt });
    }
    if (what === "asks") this.#tell("here");
    if (what === "types") setTimeout(() => this.changed(), TYPING_MS + 50);
    this.changed();
  }

  #forget() {
    const now = performance.now();
    for (const [id, { heardAt }] of this.others) if (now - heardAt > GONE_MS) this.others.delete(id);
    this.changed();
  }
}

/** @param {{presence: Presence}} props */
export function PresenceLine({ presence }) {
  const { others, someoneTypes } = useChanges(presence);
  if (!others.size) return null;
  return html`<span class="note presence" role="status">${
    someoneTypes
      ? html`<span class="typing" aria-hidden="true"><i></i><i></i><i></i></span> Another tab is typing`
      : html`<span class="dot on"></span> Open in ${others.size === 1 ? "another tab" : `${others.size} other tabs`}`
  }</span>`;
}
