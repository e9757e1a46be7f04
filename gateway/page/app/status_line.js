/** The state of the gateway in one line: a dot, the mode and the model. */

import { html, useEffect, useState } from "../vendor/preact.js";
import { sluice } from "./gateway.js";

const EVERY_MS = 5000;

export function StatusLine() {
  const [told, setTold] = useState(/** @type {any} */ (null));
  const [lost, setLost] = useState(false);
  useEffect(() => {
    let timer = 0;
    let over = false;
    const ask = async () => {
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
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, []);
  if (lost) return html`<p class="status" role="status"><span class="dot off"></span>The gateway does not answer</p>`;
  if (!told) return html`<p class="status"></p>`;
  const up = told.llm.status === "up";
  const models = told.llm.models.length ? told.llm.models.join(", ") : "no model";
  return html`<p class="status" role="status" title=${models}><span class=${up ? "dot on" : "dot off"}></span>
    ${told.mode} · ${up ? models : "cannot answer"}</p>`;
}
