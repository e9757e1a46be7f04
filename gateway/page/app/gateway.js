/** The gateway that served the page, and the visitor's key. */

import { Sluice } from "../sluice-client/index.js";

const { root = "", files = "", keys, version = "" } = document.documentElement.dataset;
const KEY = "sluice-key";

export const ROOT = root;
export const FILES = files;
export const VERSION = version;
export const NEEDS_KEY = keys === "yes";

/** The visitor's API key; this tab forgets it when it closes. */
export const login = {
  get key() {
    return sessionStorage.getItem(KEY) ?? "";
  },
  /** @param {string} key */
  keep(key) {
    sessionStorage.setItem(KEY, key);
    administers = null;
  },
  forget() {
    sessionStorage.removeItem(KEY);
    administers = null;
  },
};

export const sluice = new Sluice({ url: root, key: () => login.key });

let administers = /** @type {Promise<boolean> | null} */ (null);

/** Return whether the visitor may administer the gateway: asked once, until another key comes. */
export function mayAdminister() {
  administers ??= sluice.admin.mode().then(
    () => true,
    () => false,
  );
  return administers;
}
