/** Bounds the work of the Markdown parser, which reads the rest of a paragraph at each of its marks, and a word at each of its characters. */

const DEEPEST = 40; // lists and quotes in one another
const MOST_READ = 50_000; // characters for marks without an end, and for marks in one another, beyond twice the text
const LINK = /^!?\[[^\]]{0,500}\]\(/; // others are soon known to be none
const LONG_ADDRESS = /^\S{4000}/;
/** Of what is read as text at a time. A word that is longer has no address of e-mail in it. */
export const LONGEST_TEXT = 1000;

let depth = 0;
let left = 0;

/** Begin with this text. @param {string} text */
export function beginText(text) {
  depth = 0;
  left = MOST_READ + 2 * text.length;
}

/** @typedef {(this: object, text: string, ...more: any[]) => any} Rule */

/** Return rules that replace these of the parser. What is beyond the bounds is text. @param {{[name: string]: Rule}} rules */
export function boundedRules({ blockquote, list, emStrong, del, link, url, inlineText }) {
  return {
    blockquote: nested(blockquote),
    list: nested(list),
    emStrong: either(/^[*_]/, bounded(emStrong)),
    del: either(/^~/, bounded(del)),
    link: either(LINK, bounded(link), link),
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
  return function (text) {
    if (depth >= DEEPEST) return undefined;
    depth += 1;
    try {
      return rule.call(this, text);
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
