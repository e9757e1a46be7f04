/** A long list or table that grows: only its items, or rows, that are new are drawn. */

import { htmlOf, htmlOfItems, listOf } from "./markdown.js";

const LONG = 4000; // characters; a shorter one is drawn in a few milliseconds
const LIST = /^ {0,3}(?:[-+*]|\d{1,9}[.)])[ \t]/;
const LONGEST_LIST = 100_000; // is read whole each time
const LONGEST_TABLE = 1_000_000;

/** sources: what each part is drawn from. html: of all, with only the wanted ones. holder: has the drawn ones.
 * @typedef {{sources: string[], html: (isWanted: boolean[]) => string, holder: (made: Element) => Element | null | undefined}} Parts */

/** Return the parts of a block that is one long list, or one long table; null for others. @param {string} block @returns {Parts | null} */
export function partsOf(block) {
  if (block.length <= LONG) return null;
  return LIST.test(block) ? itemsOf(block) : rowsOf(block);
}

/** @param {string} block @returns {Parts | null} */
function itemsOf(block) {
  const list = block.length > LONGEST_LIST ? null : listOf(block);
  if (!list) return null;
  return {
    sources: list.items.map(({ raw }) => `${list.loose} ${raw}`),
    html: (isWanted) => htmlOfItems(list, list.items.filter((_, at) => isWanted[at])),
    holder: (made) => made.firstElementChild,
  };
}

/** @param {string} block @returns {Parts | null} */
function rowsOf(block) {
  const head = headOf(block);
  if (!head || block.length > LONGEST_TABLE) return null;
  const rows = block.slice(head.length).trimEnd().split("\n");
  return {
    sources: rows.map((row, at) => (at ? row : head + row)),
    html: (isWanted) => htmlOf(head + rows.filter((_, at) => isWanted[at]).join("\n")),
    holder: (made) => (made.children.length === 1 ? made.querySelector("tbody") : null), // there may be more below the table
  };
}

/** Return the two lines with which a table begins; "" for other text. @param {string} block */
function headOf(block) {
  const end = block.indexOf("\n", block.indexOf("\n") + 1) + 1;
  const [names, rule = ""] = block.slice(0, end).split("\n");
  const cells = rule.trim().replace(/^\|/, "").replace(/\|$/, "").split("|");
  return names.includes("|") && cells.every((cell) => /^:?-+:?$/.test(cell.trim())) ? block.slice(0, end) : "";
}

export class PartsView {
  #shown = /** @type {string[]} */ ([]); // what each part was drawn from

  /** @param {Parts} parts @param {HTMLElement} into @returns {boolean} false: it is more than a list or a table */
  draw({ sources, html, holder }, into) {
    const isNew = sources.map((source, at) => source !== this.#shown[at]);
    const shown = isNew[0] ? null : holder(into);
    if (!shown) isNew.fill(true);
    this.#shown = sources;
    if (!isNew.includes(true) && shown?.children.length === sources.length) return true;
    const made = document.createElement("div");
    made.innerHTML = html(isNew);
    const drawn = [...(holder(made)?.children ?? [])];
    if (drawn.length !== isNew.filter(Boolean).length) return false;
    if (shown) replace(shown, isNew, drawn);
    else into.replaceChildren(...made.children);
    return true;
  }
}

/** @param {Element} shown holds all parts @param {boolean[]} isNew of the parts @param {Element[]} drawn the new ones */
function replace(shown, isNew, drawn) {
  for (const [at, wanted] of isNew.entries()) {
    const part = wanted ? drawn.shift() : null;
    if (part && shown.children[at]) shown.children[at].replaceWith(part);
    else if (part) shown.append(part);
  }
  while (shown.children.length > isNew.length) shown.lastElementChild?.remove();
}
