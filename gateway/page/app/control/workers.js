/** The MQTT workers, and the rules that an administrator gives them. */

import { html, useEffect, useState } from "../../vendor/preact.js";
import { useDraft } from "../draft.js";
import { sluice } from "../gateway.js";
import { numberOf, spanOf } from "../words.js";
import { Fact } from "./parts.js";

/** @param {{workers: any[], since: number, hasBroker: boolean}} props since: when `workers` arrived */
export function Workers({ workers, since, hasBroker }) {
  const [problem, setProblem] = useState("");
  const [, tick] = useState(0);
  useEffect(() => {
    const ticking = setInterval(() => tick((count) => count + 1), 1000);
    return () => clearInterval(ticking);
  }, []);
  if (!hasBroker) return html`<p class="note">Workers answer over an MQTT broker: set MQTT_BROKER_HOST to use them.</p>`;
  if (!workers.length) return html`<p class="note">No worker is there. <code>sluice worker</code> starts one.</p>`;
  const rule = async (/** @type {string} */ name, /** @type {{disabled?: boolean, max_requests?: number | null}} */ wanted) => {
    setProblem("");
    try {
      await sluice.admin.ruleWorker(name, wanted);
    } catch (error) {
      setProblem(/** @type {Error} */ (error).message);
    }
  };
  return html`${problem ? html`<p class="failure" role="alert">${problem}</p>` : null}
    <ul class="facts">${workers.map((each) => html`<${Worker} key=${each.name} ruled=${each} passedS=${(performance.now() - since) / 1000} onRule=${rule} />`)}</ul>`;
}

/** @param {{ruled: any, passedS: number, onRule: (name: string, rule: {disabled?: boolean, max_requests?: number | null}) => void}} props */
function Worker({ ruled, passedS, onRule }) {
  const { name, disabled, max_requests, worker } = ruled;
  const limit = useDraft(max_requests ?? "", (text) => onRule(name, { max_requests: text === "" ? null : Number(text) }));
  return html`<${Fact} tone=${toneOf(ruled)} name=${name} text=${worker ? saysOf(worker, disabled, passedS) : "is not there"}>
    <label class="limit">at most <input type="number" min="1" max="100000" inputmode="numeric" placeholder="–"
      aria-label=${`Limit of ${name}`} ...${limit} /></label>
    <button class="quiet small" onClick=${() => onRule(name, { disabled: !disabled })}>${disabled ? "Enable" : "Disable"}</button>
  </${Fact}>`;
}

/** @param {any} ruled */
function toneOf({ disabled, worker }) {
  if (!worker || disabled) return "none";
  if (worker.set_aside || worker.state !== "ready") return "off";
  return worker.open ? "busy" : "on";
}

/** @param {any} worker @param {boolean} disabled @param {number} passedS seconds since its state arrived */
function saysOf(worker, disabled, passedS) {
  const { models, busy, max, last_heard_s, set_aside, full, state } = worker;
  const is = disabled ? "disabled" : set_aside ? "set aside after a failure" : full ? "full" : state;
  return html`${is} · ${models.join(", ") || "no model"}<br />
    <span class="figures">${numberOf(busy)} of ${numberOf(max)} busy · heard ${spanOf(last_heard_s + passedS)} ago</span>`;
}
