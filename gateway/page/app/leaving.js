/** The end of a visit: the page is closed or loaded again, or the visitor logs out. The key is still known. */

const works = /** @type {Set<() => void>} */ (new Set());

/** Call `work` when the visitor leaves. @param {() => void} work @returns {() => void} ends the waiting for it */
export function whenLeft(work) {
  works.add(work);
  return () => works.delete(work);
}

export function leave() {
  for (const work of [...works]) work();
}

addEventListener("pagehide", ({ persisted }) => {
  if (!persisted) leave(); // else the browser may show the page again as it was
});
