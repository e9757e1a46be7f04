/** Bounds the work of the Markdown parser, which reads the rest of a paragraph at each of its marks, and a word at each of its characters. */

const DEEPEST = 40; // lists, quotes and marks in one another
const MOST_READ = 5_000_000; // characters of a text, for its marks: a fifth of a second
const LINK = /^!?\[[^\]]{0,500}\]\(/; // others are soon known to be none
const LONG_ADDRESS = /^\S{4000}/;
/** Of what is read as text at a time. A word that is longer has no address of e-mail in it. */
export const LONGEST_TEXT = 1000;

let depth = 0;
let left = 0;

/** Begin with another text. */
export function beginText() {
  depth = 0;
  left = MOST_READ;
}

/** @typedef {(this: object, text: string, ...more: any[]) => any} Rule */

/** Return rules that replace these of the parser. What is beyond the bounds is text. @param {{[name: string]: Rule}} rules */
export function boundedRules({ blockquote, list, emStrong, del, link, url, inlineText }) {
  return {
    blockquote: nested(blockquote),
    list: nested(list),
    emStrong: either(/^[*_]/, nested(bounded(emStrong))),
    del: either(/^~/, nested(bounded(del))),
    link: either(LINK, nested(bounded(link)), link),
    url: either(LONG_ADDRESS, none, url),
    /** @this {object} @param {string} text */
    inlineText(text) {
      const end = text.length > LONGEST_TEXT ? text.slice(0, LONGEST_TEXT).search(/\s+\S*$/) : -1;
      return inlineText.call(this, text.slice(0, end > 0 ? end : LONGEST_TEXT));
    },
  };
}

/** @param {Rule} rule @returns {Rule} */
function nested(rule) {
  return function (text, ...more) {
    if (depth >= DEEPEST) return undefined;
    depth += 1;
    try {
      return rule.call(this, text, ...more);
    } finally {
      depth -= 1;
    }
  };
}

/** @type {Rule} */
const none = () => undefined;

/** @param {RegExp} beginning @param {Rule} rule of texts that begin so @param {Rule} [other] of others @returns {Rule} */
function either(beginning, rule, other = none) {
  return function (text, ...more) {
    return (beginning.test(text) ? rule : other).call(this, text, ...more);
  };
}

/** @param {Rule} rule @returns {Rule} */
function bounded(rule) {
  return function (text, ...more) {
    if (left <= 0) return undefined;
    left -= text.length;
    const found = rule.call(this, text, ...more); // and the marks within
    if (found) left += text.length - found.raw.length;
    return found;
  };
}
