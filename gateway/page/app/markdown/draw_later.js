/** Draws the parts of a very long text bit by bit, from its end: drawn at once, they would hold the page for seconds. */

const waiting = /** @type {Set<() => void>} */ (new Set());
let prints = false;

export const isPrinting = () => prints;

/** Call `draw` soon; the last one that waits is the first. Returns how to give up.
 * @param {() => void} draw */
export function drawLater(draw) {
  if (!waiting.size) setTimeout(drawOne);
  waiting.add(draw);
  return () => {
    waiting.delete(draw);
  };
}

function drawOne() {
  const draw = [...waiting].at(-1);
  if (!draw) return;
  waiting.delete(draw);
  draw();
  if (waiting.size) setTimeout(drawOne);
}

addEventListener("beforeprint", () => {
  prints = true;
  for (const draw of waiting) draw();
  waiting.clear();
});
addEventListener("afterprint", () => {
  prints = false;
});
