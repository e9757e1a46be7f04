/** Splits growing text into blocks of Markdown, without reading the finished ones again. */

import { blocksOf, openMathsAt } from "./markdown.js";

export const LONGEST_BLOCK = 30_000; // longer ones are shown as plain text

export class Blocks {
  #source = "";
  #finished = /** @type {string[]} */ ([]);
  #tail = ""; // the last block that has a whole line, and all behind it: what comes may belong to that block
  #shown = /** @type {string[]} */ ([]);

  /** @param {string} text @returns {string[]} */
  of(text) {
    if (text === this.#source && this.#finished.length) return this.#shown;
    this.#shown = this.#split(text);
    return this.#shown;
  }

  /** @param {string} text @returns {string[]} */
  #split(text) {
    if (!text.startsWith(this.#source)) {
      this.#finished = [];
      this.#tail = "";
      this.#source = "";
    }
    this.#tail += text.slice(this.#source.length);
    this.#source = text;
    if (this.#tail.length > LONGEST_BLOCK && !/\n\s*\n/.test(this.#tail)) return [...this.#finished, this.#tail];
    const open = blocksOf(this.#tail);
    if (open.length === 1) return [...this.#finished, ...open]; // such as a long list: what comes may belong to it
    const end = this.#tail.lastIndexOf("\n") + 1;
    const lines = this.#tail.slice(0, end); // whole ones
    const blocks = blocksOf(lines);
    const last = blocks.findLastIndex((block) => block.trim());
    const maths = openMathsAt(lines);
    let finished = 0;
    for (let at = 0; finished < last; finished++) {
      at += blocks[finished].length;
      if (at >= maths) break; // a paragraph before it may take it in
    }
    if (!finished) return [...this.#finished, ...open];
    for (const block of blocks.slice(0, finished)) this.#finished.push(block); // `...` would be too many arguments
    this.#tail = blocks.slice(finished).join("") + this.#tail.slice(end);
    return [...this.#finished, ...blocksOf(this.#tail)];
  }
}
