// usage: node hostile_text.mjs: reads texts on which a parser could fail, or take very long, and prints into how many blocks it splits each.
import { partsOf } from "../../gateway/page/app/markdown/long_block.js";
import { blocksOf, openMathsAt } from "../../gateway/page/app/markdown/markdown.js";

const DEEP = 20_000;
const LONG = 500_000;
const texts = [
  `a\n${">".repeat(DEEP)}\nb\n\nc`,
  `- a\n${"- ".repeat(DEEP)}x\n\nb`,
  `${"1. ".repeat(DEEP)}x\n\nb`,
  `${"**a ".repeat(3000)}${"b** ".repeat(3000)}`,
  `${"- ".repeat(80)}\n\nb`, // a line that parts two paragraphs
];
const split = texts.map((text) => blocksOf(text).filter((block) => block.trim()).length);
partsOf(`${"|".repeat(LONG)}\nx\n`);
partsOf(`a|b\n${" ".repeat(LONG)}x\n`);
openMathsAt("\\[\n".repeat(LONG));
console.log(JSON.stringify(split));
