/** A long list that grows: only the items that are new are drawn. */

import { htmlOfItems, listOf } from "./markdown.js";

const LONG = 4000; // characters; a shorter one is drawn in a few milliseconds
const LIST = /^ {0,3}(?:[-+*]|\d{1,9}[.)])[ \t]/;

/** Return the list that is the whole block, if it is a long one. @param {string} block */
export function longList(block) {
  return block.length > LONG && LIST.test(block) ? listOf(block) : null;
}

export class ListView {
  #shown = /** @type {string[]} */ ([]); // what each item was drawn from

  /** @param {import("./markdown.js").List} list @param {HTMLElement} into */
  draw(list, into) {
    const sources = list.items.map(({ raw }) => `${list.loose} ${raw}`);
    const isNew = sources.map((source, at) => source !== this.#shown[at]);
    if (isNew[0]) isNew.fill(true); // it may be another list
    const made = document.createElement("div");
    made.innerHTML = htmlOfItems(
      list,
      list.items.filter((_, at) => isNew[at]),
    );
    if (isNew[0]) into.replaceChildren(...made.children);
    else this.#replace(/** @type {Element} */ (into.firstElementChild), isNew, [...(made.firstElementChild?.children ?? [])]);
    this.#shown = sources;
  }

  /** @param {Element} shown the list @param {boolean[]} isNew of its items @param {Element[]} items the new ones */
  #replace(shown, isNew, items) {
    for (const [at, wanted] of isNew.entries()) {
      const item = wanted ? items.shift() : null;
      if (item && shown.children[at]) shown.children[at].replaceWith(item);
      else if (item) shown.append(item);
    }
    while (shown.children.length > isNew.length) shown.lastElementChild?.remove();
  }
}
