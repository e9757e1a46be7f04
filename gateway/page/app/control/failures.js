/** The latest replies that failed, with the reason and what to do. */

import { html } from "../../vendor/preact.js";
import { modeName } from "../mode_switch.js";
import { clockOf } from "../words.js";

const SHOWN = 20;

/** @param {{failures: any[]}} props */
export function Failures({ failures }) {
  if (!failures.length) return html`<p class="note">No reply has failed since the gateway's start.</p>`;
  return html`<ul class="failures">${failures.slice(0, SHOWN).map(
    ({ at, code, message, advice, transport, model, dialect }) => html`<li key=${`${at} ${message}`}>
      <p><time class="figures">${clockOf(at)}</time> <code>${code}</code> <span class="note">${[modeName(transport), model, dialect].filter(Boolean).join(" · ")}</span></p>
      <p>${message}</p><p class="note">${withCode(advice)}</p></li>`,
  )}</ul>`;
}

/** Return the text with what stands between backticks as code. @param {string} text */
function withCode(text) {
  return text.split("`").map((part, at) => (at % 2 ? html`<code>${part}</code>` : part));
}
