/** The visitor's name in rooms, where the gateway has no keys: without them it is all that tells people apart. */

import { NEEDS_KEY } from "../gateway.js";
import { inBrowser, inTab } from "../kept.js";

const KEPT = "sluice-name";
const LONGEST = 40;
const FIRST = `Guest ${Math.floor(1000 + 9000 * Math.random())}`; // so that two browsers are two people
const UNSHOWN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu; // among them those that turn the direction of text

/** Return a name that can be shown anywhere. @param {string} text */
export function cleaned(text) {
  return [...text.replace(UNSHOWN, "").replace(/\s+/g, " ").trim()].slice(0, LONGEST).join("");
}

class OwnName {
  #name = "";
  #release = () => {};

  /** Return the name; empty where keys say who one is. Each tab of a browser has its own: "Anna", "Anna 2".
   * @returns {Promise<string>} */
  async get() {
    if (NEEDS_KEY) return "";
    if (!this.#name) await this.#take(inTab.get(KEPT) || inBrowser.get(KEPT) || FIRST);
    return this.#name;
  }

  /** @param {string} name @returns {Promise<string>} the name that one has now */
  async set(name) {
    const wanted = cleaned(name) || FIRST;
    if (wanted === this.#name) return wanted;
    inBrowser.set(KEPT, wanted);
    await this.#take(wanted);
    return this.#name;
  }

  /** @param {string} wanted */
  async #take(wanted) {
    const name = cleaned(wanted) || FIRST;
    this.#release();
    for (let number = 1; ; number += 1) {
      this.#name = number === 1 ? name : `${name} ${number}`;
      if (await this.#isFree(this.#name)) break;
    }
    inTab.set(KEPT, this.#name);
  }

  /** Hold a name until the tab closes. @param {string} name @returns {Promise<boolean>} false if another tab holds it */
  #isFree(name) {
    if (!navigator.locks) return Promise.resolve(true); // without https only this machine's own address has them
    return new Promise((resolve) => {
      navigator.locks.request(`${KEPT}:${name}`, { ifAvailable: true }, (lock) => {
        resolve(lock !== null);
        return lock && new Promise((release) => (this.#release = () => release(undefined)));
      });
    });
  }
}

export const ownName = new OwnName();
