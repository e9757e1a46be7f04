/** Formulas as MathML. The library is loaded when the first formula appears. */

import { FILES } from "../gateway.js";

const DEEPEST = 60;
const LARGEST = [20, 200]; // em and pt that a gap or a bar may have
const TALLEST = 2000; // pixels: distances of rows, and to the line, have no bound of the library's
const MAY_BE_TALL = /\\\\|\d\s*[a-z]{2}|.{200}/is; // to measure each one would lay out the whole text for each
let loading = /** @type {Promise<any> | null} */ (null);

/** Draw all formulas below an element that are still source text. @param {Element} element */
export async function drawMaths(element) {
  const spans = element.querySelectorAll(".maths:not(.drawn)");
  if (!spans.length) return;
  loading ??= load();
  const temml = await loading.catch(() => null);
  if (!temml) {
    loading = null; // the next formula asks for it again
    return;
  }
  for (const span of spans) {
    const tex = span.textContent ?? "";
    if (span.classList.contains("drawn") || isTooDeep(tex)) continue;
    span.classList.add("drawn");
    try {
      temml.render(tex, span, { displayMode: span.classList.contains("display"), throwOnError: true, maxExpand: 200, maxSize: LARGEST });
      /** @type {HTMLElement} */ (span).title = tex;
    } catch {
      span.textContent = tex; // not TeX after all
    }
  }
  const tall = [...spans].filter((span) => MAY_BE_TALL.test(/** @type {HTMLElement} */ (span).title) && (span.firstElementChild?.getBoundingClientRect().height ?? 0) > TALLEST);
  for (const span of tall) span.textContent = /** @type {HTMLElement} */ (span).title;
}

/** @param {string} tex */
function isTooDeep(tex) {
  let depth = 0;
  for (const sign of tex) {
    if (sign === "{") depth += 1;
    if (sign === "}") depth -= 1;
    if (depth > DEEPEST) return true;
  }
  return false;
}

async function load() {
  const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: `${FILES}/vendor/temml.css` });
  document.head.append(style);
  return (await import("../../vendor/temml.js")).default;
}
