/** Text as Markdown, also while it grows: only its last block is drawn again. */

import { html, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";
import { drawnAgainIf } from "../drawn_again.js";
import { Blocks, LONGEST_BLOCK } from "./blocks.js";
import { hasCode, isCode, whenColours } from "./code.js";
import { withDefinitions } from "./definitions.js";
import { drawLater, isPrinting } from "./draw_later.js";
import { PartsView, partsOf } from "./long_block.js";
import { htmlOf } from "./markdown.js";
import { drawMaths } from "./maths.js";

const LONGEST_CODE = 200_000; // is drawn in less than a frame
const GROUP = 40; // blocks that are compared as one
const AT_ONCE = 5; // groups of a text that are drawn at once, at its end

/** @param {{text: string, live?: boolean}} props */
export function TextView({ text, live = false }) {
  const blocks = useRef(/** @type {Blocks | null} */ (null));
  blocks.current ??= new Blocks();
  const [colours, setColours] = useState(0);
  useLayoutEffect(() => whenColours(() => setColours(1)), []); // before the colours can come that the blocks have just asked for
  const shown = withDefinitions(blocks.current.of(text.replaceAll("\0", "\uFFFD")), LONGEST_BLOCK);
  const groups = [];
  for (let start = 0; start < shown.length; start += GROUP) {
    groups.push(html`<${Group} key=${start} blocks=${shown.slice(start, start + GROUP)} colours=${colours} isNear=${start + AT_ONCE * GROUP >= shown.length} />`);
  }
  return html`<div class=${live ? "markdown live" : "markdown"} dir="auto">${groups}</div>`;
}

const Group = drawnAgainIf(
  (/** @type {{blocks: string[], colours: number}} */ before, { blocks, colours }) =>
    before.colours !== colours || before.blocks.length !== blocks.length || before.blocks.some((one, at) => one !== blocks[at]),
  (props) => html`<${LateGroup} ...${props} />`,
);

/** isNear: to the end of the text when the group begins; else it is drawn later.
 * @param {{blocks: string[], colours: number, isNear: boolean}} props */
function LateGroup({ blocks, colours, isNear }) {
  const [isDrawn, setDrawn] = useState(isNear || isPrinting());
  useLayoutEffect(() => (isDrawn ? undefined : drawLater(() => setDrawn(true))), [isDrawn]);
  return html`<div class="blocks">${
    isDrawn && blocks.map((source, at) => html`<${Block} key=${at} source=${source} colours=${hasCode(source) ? colours : 0} />`)
  }</div>`;
}

/** One block; it is drawn again only when its source changes. @param {{source: string, colours: number}} props */
function Block({ source, colours }) {
  const element = useRef(/** @type {HTMLElement | null} */ (null));
  const drawn = useRef({ source: "\0", colours: -1 });
  const view = useRef(/** @type {PartsView | null} */ (null));
  useLayoutEffect(() => {
    const at = /** @type {HTMLElement} */ (element.current);
    if (drawn.current.source === source && drawn.current.colours === colours) return;
    const parts = partsOf(source);
    if (!parts || drawn.current.colours !== colours) view.current = null;
    drawn.current = { source, colours };
    if (parts) view.current ??= new PartsView();
    const isDrawn = parts && view.current?.draw(parts, at);
    const isPlain = !isDrawn && source.length > (isCode(source) ? LONGEST_CODE : LONGEST_BLOCK);
    at.classList.toggle("plain", isPlain);
    if (!isDrawn) view.current = null;
    if (isPlain || !source.trim()) at.textContent = source; // half of the blocks are the lines between the others
    else if (!isDrawn) at.innerHTML = htmlOf(source);
    if (!isPlain) drawMaths(at);
  });
  return html`<div class="block" dir="auto" ref=${element}></div>`;
}
