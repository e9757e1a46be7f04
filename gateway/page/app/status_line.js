/** The state of the gateway: a dot, the mode and the model; above it the switch of the mode for those who may. */

import { html, useEffect } from "../vendor/preact.js";
import { useChanges } from "./changes.js";
import { NEEDS_KEY } from "./gateway.js";
import { gatewayState } from "./gateway_state.js";
import { ModeSwitch, modeName } from "./mode_switch.js";

export function StatusLine() {
  const { told, lost } = useChanges(gatewayState);
  useEffect(() => {
    const ask = () => gatewayState.ask();
    ask();
    addEventListener("mode-switched", ask);
    return () => removeEventListener("mode-switched", ask);
  }, []);
  if (lost) return html`<p class="status" role="status"><span class="dot off"></span>The gateway does not answer</p>`;
  if (!told) return html`<p class="status"></p>`;
  const up = told.llm.status === "up";
  const models = told.llm.models.length ? told.llm.models.join(", ") : "no model";
  return html`<${ModeSwitch} mode=${told.mode} asks=${NEEDS_KEY} />
    <p class="status" role="status" title=${models}><span class=${up ? "dot on" : "dot off"}></span>
    ${modeName(told.mode)} · ${up ? models : "cannot answer"}</p>`;
}
