/** Colours in code. The library is loaded when the first code appears. */

const MOST_LIVE = 20_000;
const CODE = /^(?: {0,3}(?:```|~~~)| {4})/;
const FENCE = /^[ \t>]*(?:(?:[-+*]|\d+[.)])[ \t]+)*(?:```|~~~)/m;

/** True if the block is code. @param {string} block */
export const isCode = (block) => CODE.test(block);

/** True if there may be code in the block that can be coloured. @param {string} block */
export const hasCode = (block) => FENCE.test(block);

let highlighter = /** @type {any} */ (null);
let loads = false;
/** @type {Set<() => void>} */
const waiting = new Set();

/** Return coloured HTML of the code; null if it stays plain for now.
 * @param {string} text @param {string} language @returns {string | null} */
export function colour(text, language) {
  if (!highlighter) {
    if (!loads) load();
    return null;
  }
  if (text.length > MOST_LIVE || !language || !highlighter.getLanguage(language)) return null;
  return highlighter.highlight(text, { language, ignoreIllegals: true }).value;
}

/** Call `then` once the library is there. Returns how to give up.
 * @param {() => void} then */
export function whenColours(then) {
  if (highlighter) return () => {};
  waiting.add(then);
  return () => waiting.delete(then);
}

async function load() {
  loads = true;
  try {
    highlighter = (await import("../../vendor/highlight.js")).default;
  } catch {
    loads = false; // the next code asks for it again
    return;
  }
  for (const then of waiting) then();
  waiting.clear();
}
