/** The state of the gateway: a dot, the mode and the model; above it the switch of the mode for those who may. */

import { html, useEffect, useState } from "../vendor/preact.js";
import { NEEDS_KEY, sluice } from "./gateway.js";
import { ModeSwitch, modeName } from "./mode_switch.js";

const EVERY_MS = 5000;

export function StatusLine() {
  const [told, setTold] = useState(/** @type {any} */ (null));
  const [lost, setLost] = useState(false);
  useEffect(() => {
    let timer = 0;
    let over = false;
    const ask = async () => {
      clearTimeout(timer);
      if (document.visibilityState === "visible") {
        try {
          setTold(await sluice.metrics());
          setLost(false);
        } catch (error) {
          setLost(/** @type {any} */ (error).status === 0);
        }
      }
      if (!over) timer = setTimeout(ask, EVERY_MS);
    };
    ask();
    addEventListener("mode-switched", ask);
    return () => {
      over = true;
      clearTimeout(timer);
      removeEventListener("mode-switched", ask);
    };
  }, []);
  if (lost) return html`<p class="status" role="status"><span class="dot off"></span>The gateway does not answer</p>`;
  if (!told) return html`<p class="status"></p>`;
  const up = told.llm.status === "up";
  const models = told.llm.models.length ? told.llm.models.join(", ") : "no model";
  return html`<${ModeSwitch} mode=${told.mode} asks=${NEEDS_KEY} />
    <p class="status" role="status" title=${models}><span class=${up ? "dot on" : "dot off"}></span>
    ${modeName(told.mode)} · ${up ? models : "cannot answer"}</p>`;
}
