// usage: node hostile_text.mjs: reads texts on which a parser could fail, or take very long, and prints into how many blocks it splits each.
import { Blocks } from "../../gateway/page/app/markdown/blocks.js";
import { partsOf } from "../../gateway/page/app/markdown/long_block.js";
import { blocksOf, listOf, openMathsAt } from "../../gateway/page/app/markdown/markdown.js";

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
new Blocks().of("a\n\n".repeat(100_000));
listOf(`- ${"a.".repeat(LONG)}@`);
listOf(`- ${"http://a.".repeat(DEEP)}${"~".repeat(LONG)}`);

/** How deep the tokens are in one another. */
const depthOf = (tokens = []) => Math.max(0, ...tokens.map((token) => 1 + depthOf(token.tokens ?? token.items)));
const nested = [`${"**a ".repeat(2000)}${"b** ".repeat(2000)}`, `${"_a ".repeat(2000)}${"b_ ".repeat(2000)}`, `${"~~a ".repeat(2000)}${"b~~ ".repeat(2000)}`, "1. a\n$$".repeat(1000)];
const depths = nested.map((text) => depthOf(listOf(`1. ${text}`).items));
const isLinkFound = JSON.stringify(listOf(`- ${"[a](".repeat(5000)}[a](b)`)).includes('"href":"b"');
const mixed = "**bold** and *it*, 2*3, a_b_c, **bold with *it* in it**. ".repeat(200);
const strong = JSON.stringify(listOf(`- ${mixed}`)).match(/"type":"strong"/g)?.length;
console.log(JSON.stringify({ strong, split, areDeep: depths.map((depth) => depth > 100), isLinkFound }));
