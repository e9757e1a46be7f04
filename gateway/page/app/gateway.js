/** The gateway that served the page, and the visitor's key. */

import { Sluice } from "../sluice-client/index.js";
import { inTab } from "./kept.js";

const { root = "", files = "", keys, version = "", fileBytes } = document.documentElement.dataset;
const KEY = "sluice-key";

/** Pause until what could not be loaded is loaded again. */
export const RETRY_MS = 3000;

export const ROOT = root;
export const FILES = files;
export const VERSION = version;
/** The largest file that the gateway takes. */
export const MOST_FILE_BYTES = Number(fileBytes ?? Number.POSITIVE_INFINITY);
export const NEEDS_KEY = keys === "yes";

/** The visitor's API key; this tab forgets it when it closes. */
export const login = {
  get key() {
    return inTab.get(KEY) ?? "";
  },
  /** @param {string} key */
  keep(key) {
    inTab.set(KEY, key);
    administers = null;
  },
  forget() {
    inTab.remove(KEY);
    administers = null;
  },
};

export const sluice = new Sluice({ url: root, key: () => login.key });

let administers = /** @type {Promise<boolean> | null} */ (null);

/** Return whether the visitor may administer the gateway: asked until the gateway has said it, and again with another key. */
export function mayAdminister() {
  administers ??= sluice.admin.mode().then(
    () => true,
    (error) => {
      if (isForNow(error)) administers = null; // nobody knows yet
      return false;
    },
  );
  return administers;
}

/** True if the same request may succeed later. @param {any} error @returns {boolean} */
export function isForNow(error) {
  return error !== null && (error.status === 0 || error.status === 429 || error.status >= 500);
}
