// usage: node growing_text.mjs: splits texts that grow into blocks, and prints those whose blocks differ from the whole text's.
import { Blocks } from "../../gateway/page/app/markdown/blocks.js";
import { blocksOf } from "../../gateway/page/app/markdown/markdown.js";

const LINES = `- a
  b
    - c
1. x
   y
2. z


# heading
text
> quote
    code
\`\`\`js
\`\`\`
| a | b |
|---|---|
| 1 | 2 |
---
===
* s
\ttab
  ${""}
$$
x^2
\\[
\\]
$$y$$ z
$$ w
\\[ a \\].
<div>
</div>
<answer>
- [ ] t`.split("\n");
const TEXTS = 2000;

let seed = 7;
const below = (limit) => {
  seed = (seed * 48271) % 2147483647; // stays exact
  return Math.floor(seed / 65536) % limit;
};

const differing = [];
for (let number = 0; number < TEXTS; number++) {
  const text = Array.from({ length: 3 + below(10) }, () => LINES[below(LINES.length)]).join("\n");
  const growing = new Blocks();
  let shown = [];
  for (let end = 0; end < text.length; ) {
    end = Math.min(text.length, end + 1 + below(5));
    shown = growing.of(text.slice(0, end));
  }
  if (JSON.stringify(shown) !== JSON.stringify(blocksOf(text))) differing.push({ text, shown });
}
console.log(JSON.stringify(differing.slice(0, 3)));
