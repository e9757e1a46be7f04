/** How much of the model's context the conversation takes. */

import { html } from "../../vendor/preact.js";
import { useChanges } from "../changes.js";
import { gatewayState } from "../gateway_state.js";
import { numberOf } from "../words.js";

const MUCH = 0.85;

/** @param {{messages: any[]}} props */
export function ContextGauge({ messages }) {
  const { told } = useChanges(gatewayState);
  const used = usedTokens(messages);
  if (!used) return null;
  const most = told?.llm.contextTokens;
  if (!most) return html`<span class="figures">${numberOf(used)} tokens</span>`;
  const share = Math.min(1, used / most);
  return html`<span class=${share > MUCH ? "gauge much" : "gauge"} title="Tokens of this conversation, and the model's context">
    <span class="gauge-bar" role="meter" aria-label="Context" aria-valuemin="0" aria-valuemax=${most} aria-valuenow=${used}><i style=${{ width: `${100 * share}%` }}></i></span>
    <span class="figures">${numberOf(used)} of ${numberOf(most)} tokens</span></span>`;
}

/** Return the tokens of the latest reply and of what it read; of a running one about. @param {any[]} messages */
function usedTokens(messages) {
  for (const { live, progress, usage } of messages.toReversed()) {
    if (live && progress?.total) return progress.total + live.deltas;
    if (usage?.prompt_tokens) return usage.prompt_tokens + (usage.completion_tokens ?? 0);
  }
  return 0;
}
