/** The parts that a reply needs, and the devices: each with a dot and a sentence. */

import { html } from "../../vendor/preact.js";
import { modeName } from "../mode_switch.js";
import { clockOf, numberOf } from "../words.js";

/** @typedef {"on" | "off" | "busy" | "none"} Tone */

/** One line of a list of facts. @param {{tone: Tone, name: any, text: any, children?: any}} props */
export function Fact({ tone, name, text, children }) {
  return html`<li class="fact"><span class=${`dot ${tone}`}></span><strong>${name}</strong><span class="says">${text}</span>
    ${children ? html`<span class="acts">${children}</span>` : null}</li>`;
}

/** @param {{state: any}} props */
export function Parts({ state }) {
  const { gateway, broker, database, servers, breakers } = state;
  const waiting = gateway.queued ? ` · ${numberOf(gateway.queued)} requests wait for a worker` : "";
  return html`<ul class="facts">
    <${Fact} tone=${gateway.status === "up" ? "on" : "busy"} name="Gateway"
      text=${`${gateway.status === "up" ? "up" : "stopping; up"} since ${clockOf(gateway.started_at)} · version ${gateway.version}${waiting}`} />
    ${servers.length ? servers.map(server) : modes(state)}
    ${
      broker === null
        ? html`<${Fact} tone="none" name="Broker" text="none: MQTT_BROKER_HOST is not set" />`
        : html`<${Fact} tone=${broker.connected ? "on" : "off"} name="Broker"
            text=${`${broker.connected ? "connected" : "away"}${broker.lost ? ` · lost ${numberOf(broker.lost)} times` : ""}`} />`
    }
    <${Fact} tone=${database.ok ? "on" : "off"} name="Database" text=${database.detail || "accepts changes"} />
    ${Object.entries(breakers).map(([mode, is]) => (is === "closed" ? null : html`<${Fact} key=${mode} tone="off" name=${`Breaker of ${modeName(mode)}`} text=${is} />`))}
  </ul>`;
}

/** @param {any} state */
function modes(state) {
  return state.modes
    .filter((/** @type {any} */ each) => each.mode === "sse")
    .map((/** @type {any} */ each) => html`<${Fact} key="sse" tone=${each.ok ? "on" : "off"} name="Model server" text=${each.detail} />`);
}

/** @param {any} server */
function server({ url, ok, detail, slots, open }) {
  return html`<${Fact} key=${url} tone=${ok ? "on" : "off"} name="Model server" text=${`${url} · ${detail} · ${open} of ${slots} busy`} />`;
}

const PRESENCE = { connected: "connected", away: "away", unknown: "not heard since the gateway's start" };

/** @param {{devices: any[]}} props */
export function Devices({ devices }) {
  if (!devices.length) return html`<p class="note">No device is registered. <code>sluice devices add NAME</code> registers one.</p>`;
  return html`<ul class="facts">${devices.map(
    ({ name, user, presence }) => html`<${Fact} key=${name} tone=${presence === "connected" ? "on" : "none"} name=${name}
      text=${`${PRESENCE[/** @type {keyof typeof PRESENCE} */ (presence)]} · of ${user}`} />`,
  )}</ul>`;
}
