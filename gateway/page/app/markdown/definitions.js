/** Addresses that links in other blocks name, such as `[1]: ADDRESS`. A block is drawn alone: it gets those that it names. */

import { isCode } from "./code.js";

const DEFINITION = /^ {0,3}\[((?:\\.|[^[\]\\])+)\]:\s*(?:<[^<>\n]*>|[^<\s]\S*)(?:\s+(?:"[^"\n]*"|'[^'\n]*'|\([^()\n]*\)))?\s*$/;

/** Return the blocks; before those that name definitions, these. @param {string[]} blocks @param {number} longest block that gets any
 * @returns {string[]} */
export function withDefinitions(blocks, longest) {
  const definitions = blocks.flatMap((block) => {
    const label = DEFINITION.exec(block)?.[1];
    return label ? [{ name: `[${label.toLowerCase()}]`, block }] : [];
  });
  if (!definitions.length) return blocks;
  return blocks.map((block) => {
    if (!block.includes("[") || block.length > longest || isCode(block) || DEFINITION.test(block)) return block;
    const words = block.toLowerCase();
    const named = definitions.filter(({ name }) => words.includes(name)).map(({ block }) => block.trimEnd());
    return named.length ? `${named.join("\n")}\n\n${block}` : block;
  });
}
