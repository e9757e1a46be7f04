/** The state of the gateway and what it does now. */

import { html, useEffect, useMemo } from "../../vendor/preact.js";
import { useChanges } from "../changes.js";
import { ModeSwitch, modeName } from "../mode_switch.js";
import { TryNow } from "../try_now.js";
import { capitalised } from "../words.js";
import { Charts } from "./charts.js";
import { Failures } from "./failures.js";
import { LiveState } from "./live_state.js";
import { Devices, Parts } from "./parts.js";
import { Simulators } from "./simulators.js";
import { Streams } from "./streams.js";
import { Workers } from "./workers.js";

export default function ControlRoom() {
  const live = useMemo(() => new LiveState(), []);
  useEffect(() => () => live.close(), [live]);
  const { state, connection, refusal } = useChanges(live);
  if (refusal) return html`<section class="control"><div class="column"><h1>Control room</h1><${Refused} refusal=${refusal} /></div></section>`;
  const stale = connection === "waiting";
  const away = stale ? html`The gateway does not answer. Trying again … <${TryNow} />` : null;
  if (!state) {
    return html`<section class="control" aria-busy="true"><div class="column"><header><h1>Control room</h1>
      <p class="note" role="status">${away}</p></header></div></section>`;
  }
  return html`<section class=${stale ? "control stale" : "control"}><div class="column">
    <header><h1>Control room</h1><p class="note" role="status">${
      away ?? html`<span class="dot on"></span>live`
    }</p></header>
    <${Part} title="Way to the model"><${ModeSwitch} mode=${state.gateway.mode} states=${state.modes} asks />
      ${waysOf(state).map(
        (/** @type {any} */ { mode, detail }) => html`<p class="note" key=${mode}>${state.gateway.mode === mode ? capitalised(detail) : `${modeName(mode)}: ${detail}`}.</p>`,
      )}</${Part}>
    <${Part} title="Parts"><${Parts} state=${state} /></${Part}>
    <${Part} title="Replies that are being written" count=${state.gateway.running}><${Streams} streams=${state.streams} /></${Part}>
    <${Part} title="The last hour"><${Charts} live=${live} /></${Part}>
    <${Part} title="Workers" count=${state.workers.length}><${Workers} workers=${state.workers} since=${live.stateAt} hasBroker=${state.broker !== null} /></${Part}>
    <${Part} title="Devices" count=${state.devices.length}><${Devices} devices=${state.devices} /></${Part}>
    <${Part} title="Simulators"><${Simulators} mode=${state.gateway.mode} hasBroker=${state.broker !== null} /></${Part}>
    <${Part} title="Failures" count=${state.failures.length}><${Failures} failures=${state.failures} /></${Part}>
  </div></section>`;
}

/** Return the states of the ways that the mode uses. @param {any} state */
function waysOf({ modes, gateway: { mode } }) {
  return modes.filter((/** @type {any} */ each) => (mode === "auto" ? each.mode !== "auto" : each.mode === mode));
}

/** @param {{title: string, count?: number, children?: any}} props */
function Part({ title, count, children }) {
  return html`<section class="part"><h2>${title}${count ? html` <span class="count">${count}</span>` : null}</h2>${children}</section>`;
}

/** @param {{refusal: import("../../sluice-client/requests.js").SluiceError}} props */
function Refused({ refusal }) {
  if (refusal.status !== 403 && refusal.status !== 401) return html`<p class="failure" role="alert">${refusal.message}</p>`;
  return html`<p class="failure" role="alert">The control room is for administrators: it needs a key with the scope <code>admin</code>, or, while
    there are no keys, a browser on the gateway's own machine.</p><p class="note">The gateway says: ${refusal.message}</p>`;
}
