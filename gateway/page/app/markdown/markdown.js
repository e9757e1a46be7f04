/** Markdown to sanitised HTML. HTML in the text is shown as text, but for the tags that tables and formulas in plain text need.
 * Nothing is loaded from other hosts. */

import { Marked } from "../../vendor/marked.js";
import DOMPurify from "../../vendor/purify.js";
import { beginText, boundedRules, LONGEST_TEXT } from "./bounded.js";
import { colour } from "./code.js";
import { withoutTabs, withTabs } from "./tabs.js";

/** @param {string} text */
const escaped = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
const LONGEST_MATHS = 2010; // with its signs: the rules below allow 2000 characters
const SAFE_LINK = /^(?:https?:|mailto:)/i;
const SAFE_TAG = /^<(?:br ?\/?|\/?su[bp])>$/i; // a cell has no other way to a new line

const OPENS = /^ {0,3}(\$\$|\\\[)/;
/** Where the next line of the first paragraph begins that may be a formula of lines of its own. @param {string} text */
const nextOpening = (text) => nextLine(text, /\n(?:(?<line> {0,3}(?:\$\$|\\\[))|[ \t]*\n)/);

/** @param {string} text @param {RegExp} pattern of such a line, and of a blank one, which ends the paragraph */
function nextLine(text, pattern) {
  const found = pattern.exec(text);
  return found?.groups?.line ? found.index + 1 : undefined;
}
/** @param {string} tex @param {boolean} isDisplayed */
const formula = (tex, isDisplayed) => `<span class="maths${isDisplayed ? " display" : ""}">${escaped(tex.trim())}</span>`;

const blockMaths = {
  name: "maths-block",
  level: "block",
  start: nextOpening,
  tokenizer(/** @type {string} */ text) {
    const [made, dollars, brackets] = /^ {0,3}(?:\$\$([^$]{1,2000}?)\$\$|\\\[((?:(?!\\\])[\s\S]){1,2000}?)\\\])/.exec(text) ?? [];
    if (!made) return undefined;
    const [end] = /^[ \t]*(?:\n|$)/.exec(text.slice(made.length)) ?? [];
    if (end === undefined && !made.includes("\n")) return undefined; // it is in a line
    return { type: "maths-block", raw: made + (end ?? ""), tex: dollars ?? brackets };
  },
  renderer: (/** @type {any} */ token) => `<p>${formula(token.tex, true)}</p>`,
};

/** In a line; those with the signs of formulas of their own lines too. `\[` without a space may be a bracket that is escaped. */
const inlineMaths = {
  name: "maths-inline",
  level: "inline",
  start: (/** @type {string} */ text) => text.slice(0, LONGEST_TEXT).match(/\$|\\[([]/)?.index,
  tokenizer(/** @type {string} */ text) {
    const found =
      /^(?:\$(?!\s)([^$\n]{1,500}?)(?<!\s)\$(?!\d)|\\\((.{1,500}?)\\\)|\$\$([^$]{1,2000}?)\$\$|\\\[(\s(?:(?!\\\])[\s\S]){1,2000}?\s)\\\])/.exec(text);
    return found ? { type: "maths-inline", raw: found[0], tex: found[1] ?? found[2] ?? found[3] ?? found[4] } : undefined;
  },
  renderer: (/** @type {any} */ token) => formula(token.tex, token.raw.includes("\n")),
};

/** A formula of several lines that has no end yet: its source, as it grows. */
const openMaths = {
  name: "maths-open",
  level: "block",
  start: nextOpening,
  tokenizer(/** @type {string} */ text) {
    if (text.length >= 2000) return undefined;
    const [opening, sign] = OPENS.exec(text) ?? [];
    const isOpen = opening && !text.includes(sign === "$$" ? "$$" : "\\]", opening.length);
    return isOpen && !/\n\s*\n/.test(text) ? { type: "maths-open", raw: text } : undefined;
  },
  renderer: (/** @type {any} */ token) => `<p class="maths-open">${escaped(token.raw)}</p>`,
};

const DEEP = String.raw`(?![ \t]*(?<rule>[-*])(?:[ \t]*\k<rule>)*[ \t]*(?:\n|$))(?:[ \t]*(?:>|(?:[-+*]|\d{1,9}[.)])[ \t])){40}.*(?:\n|$)`;
const DEEP_LINE = new RegExp(`^${DEEP}`);
const ANY_DEEP_LINE = new RegExp(`^${DEEP}`, "m");
const LATER_DEEP_LINE = new RegExp(`\n(?:(?<line>${DEEP})|[ \\t]*\n)`);
let hasDeepLine = false; // the text that is being read

/** A line of very many quotes or lists in one another, which the parser would read level by level until its stack is full. */
const deepLine = {
  name: "deep-line",
  level: "block",
  start: (/** @type {string} */ text) => (hasDeepLine ? nextLine(text, LATER_DEEP_LINE) : undefined),
  tokenizer(/** @type {string} */ text) {
    const [raw] = (hasDeepLine && DEEP_LINE.exec(text)) || [];
    return raw ? { type: "deep-line", raw } : undefined;
  },
  renderer: (/** @type {any} */ token) => plain(token.raw),
};

/** @param {string} text */
const plain = (text) => `<p class="html">${escaped(text.trim())}</p>`;

const marked = new Marked({ gfm: true, breaks: true }); // lines of a poem or an address stay lines
marked.use({ tokenizer: boundedRules(marked.Tokenizer.prototype) });
marked.use({
  extensions: [blockMaths, openMaths, inlineMaths, deepLine],
  tokenizer: {
    // A line below a formula makes no heading of it and of the text above.
    lheading(text) {
      const end = nextOpening(text);
      return end === undefined || this.rules.block.lheading.test(text.slice(0, end)) ? false : undefined;
    },
    // A tag that would not end a paragraph, such as <answer>, is a word of one.
    html(text) {
      const [line] = /^ {0,3}<.*\n?/.exec(text) ?? [];
      return line && this.rules.block.paragraph.exec(`x\n${line}`)?.[0] !== "x" ? undefined : false;
    },
    del: (text) => (text.startsWith("~~") ? false : undefined), // one tilde is "about", or a range: 1~2, 3~4
  },
  renderer: {
    html: ({ text, block }) => (block ? plain(text) : SAFE_TAG.test(text) ? text : escaped(text)),
    text(token) {
      token.escaped = false; // also behind a tag such as <code>, which is text here
      return false;
    },
    code: ({ text, lang }) => codeBlock(withTabs(text), /^[\w+#.-]*/.exec(lang ?? "")?.[0] ?? ""),
    link({ href, tokens }) {
      const inner = this.parser.parseInline(tokens);
      return SAFE_LINK.test(href) ? `<a href="${escaped(href)}" target="_blank" rel="noopener noreferrer">${inner}</a>` : inner;
    },
    // An image of another host would tell that host who reads this.
    image: ({ href, text }) =>
      SAFE_LINK.test(href) ? `<a href="${escaped(href)}" target="_blank" rel="noopener noreferrer">${escaped(text || href)}</a>` : escaped(text),
  },
});

/** @param {string} text @param {string} language */
function codeBlock(text, language) {
  const head = `<div class="code-head"><span>${escaped(language)}</span><button type="button" class="copy-code">Copy</button></div>`;
  return `<div class="code">${head}<pre tabindex="0"><code>${colour(text, language) ?? escaped(text)}</code></pre></div>`;
}

/** Where the first formula of several lines may begin that has no end yet; the text's length if there is none.
 * @param {string} text @returns {number} */
export function openMathsAt(text) {
  for (const { 0: opening, 1: sign, index } of text.matchAll(new RegExp(OPENS, "gm"))) {
    if (text.length - index >= LONGEST_MATHS) continue;
    if (!text.includes(sign === "$$" ? "$$" : "\\]", index + opening.length)) return index;
  }
  return text.length;
}

/** The Markdown's outermost blocks, as source text, in order.
 * @param {string} text @returns {string[]} */
export function blocksOf(text) {
  return tokensOf(text, (lexer, lines) => lexer.blockTokens(lines)).map((token) => token.raw);
}

/** Return the tokens; if the parser fails, all as one. @param {string} text @param {(lexer: any, text: string) => any[]} [read] @returns {any[]} */
function tokensOf(text, read = (lexer, lines) => lexer.lex(lines)) {
  hasDeepLine = ANY_DEEP_LINE.test(text);
  beginText();
  try {
    return read(new marked.Lexer(marked.defaults), text.replace(/\r\n?/g, "\n"));
  } catch {
    return [{ type: "deep-line", raw: text }];
  }
}

/** @typedef {{type: string, raw: string, loose: boolean, items: {raw: string}[]}} List */

/** Return the list that the text consists of; null for other text. @param {string} text @returns {List | null} */
export function listOf(text) {
  const [list, ...others] = tokensOf(withoutTabs(text)).filter(({ type }) => type !== "def" && type !== "space");
  return list?.type === "list" && !others.length ? /** @type {any} */ (list) : null;
}

/** @param {List} list @param {List["items"]} items of it, which alone are made @returns {string} a TrustedHTML where the browser has them */
export function htmlOfItems(list, items) {
  return sanitised(marked.parser([{ ...list, items }]));
}

/** @param {string} text @returns {string} a TrustedHTML where the browser has them */
export function htmlOf(text) {
  const tokens = tokensOf(withoutTabs(text));
  try {
    return sanitised(marked.parser(tokens));
  } catch {
    return sanitised(plain(text));
  }
}

/** @param {string} made @returns {string} */
function sanitised(made) {
  return DOMPurify.sanitize(withTabs(made), {
    RETURN_TRUSTED_TYPE: true,
    ALLOWED_TAGS:
      "a b blockquote br button code del div em h1 h2 h3 h4 h5 h6 hr input li ol p pre s span strong sub sup table tbody td th thead tr ul".split(" "),
    ALLOWED_ATTR: ["href", "target", "rel", "class", "align", "start", "type", "checked", "disabled", "tabindex"],
  });
}

/** @param {string} html @returns {string} */
export function sanitisedCode(html) {
  return DOMPurify.sanitize(html, { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"] });
}
