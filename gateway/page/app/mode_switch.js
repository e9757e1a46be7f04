/** The switch between the ways to the model: HTTP, MQTT, or the first healthy one. */

import { html, useEffect, useState } from "../vendor/preact.js";
import { Confirm } from "./dialog.js";
import { mayAdminister, sluice } from "./gateway.js";

/** @typedef {"sse" | "mqtt" | "auto"} Mode */
/** @typedef {{mode: Mode, ok: boolean, detail: string}} ModeState */

const MODES = /** @type {Mode[]} */ (["sse", "mqtt", "auto"]);
const NAMES = { sse: "HTTP", mqtt: "MQTT", auto: "Auto" };
const MEANINGS = {
  sse: "New replies come from the model server, over HTTP.",
  mqtt: "New replies come from a worker, over the MQTT broker.",
  auto: "New replies come over the first way that is healthy.",
};

/** @param {string} mode */
export function modeName(mode) {
  return NAMES[/** @type {Mode} */ (mode)] ?? mode;
}

/** Nothing for visitors who may not switch.
 * @param {{mode: string, states?: ModeState[], asks: boolean}} props states: of the modes, if they are known; asks: before each switch */
export function ModeSwitch({ mode, states = [], asks }) {
  const [current, setCurrent] = useState(mode);
  const [may, setMay] = useState(states.length > 0);
  const [wanted, setWanted] = useState(/** @type {Mode | null} */ (null));
  const [refusal, setRefusal] = useState(/** @type {{mode: Mode, why: string} | null} */ (null));
  useEffect(() => setCurrent(mode), [mode]);
  useEffect(() => {
    if (may) return;
    mayAdminister().then(setMay);
  }, []);
  if (!may) return null;

  const change = async (/** @type {Mode} */ to, force = false) => {
    setWanted(null);
    setRefusal(null);
    try {
      setCurrent((await sluice.admin.switchMode(to, { force })).mode);
      dispatchEvent(new Event("mode-switched"));
    } catch (error) {
      setRefusal({ mode: to, why: /** @type {Error} */ (error).message });
    }
  };
  const choose = (/** @type {Mode} */ to) => {
    setRefusal(null);
    if (to === current) return;
    if (asks) setWanted(to);
    else change(to);
  };
  const stateOf = (/** @type {Mode} */ name) => states.find((state) => state.mode === name);
  return html`<div class="mode-switch">
    <div class="segments" role="group" aria-label="Way to the model">${MODES.map(
      (name) => html`<button key=${name} aria-pressed=${current === name} title=${stateOf(name)?.detail ?? MEANINGS[name]}
        onClick=${() => choose(name)}>${stateOf(name)?.ok === false ? html`<span class="dot off"></span>` : null}${NAMES[name]}</button>`,
    )}</div>
    ${
      wanted
        ? html`<${Confirm} title=${`Switch to ${NAMES[wanted]}?`} text=${`${MEANINGS[wanted]} Running replies end where they are.`}
            action="Switch" onYes=${() => change(wanted)} onNo=${() => setWanted(null)} />`
        : null
    }
    ${
      refusal
        ? html`<${Confirm} title=${`${NAMES[refusal.mode]} cannot serve now`} text=${refusal.why} action="Switch anyway" danger
            onYes=${() => change(refusal.mode, true)} onNo=${() => setRefusal(null)} />`
        : null
    }
  </div>`;
}
