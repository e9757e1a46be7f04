/** One click plays an IoT device or a worker: the frames on MQTT beside the words that they become in the chat. */

import { html, useEffect, useState } from "../../vendor/preact.js";
import { useChanges } from "../changes.js";
import { addressOf } from "../route.js";
import { Frames } from "./frames.js";
import { Simulation } from "./simulation.js";

const QUESTION = "What is a sluice?";

/** @param {{mode: string, hasBroker: boolean}} props */
export function Simulators({ mode, hasBroker }) {
  const [playing, setPlaying] = useState(/** @type {{part: "device" | "worker", simulation: Simulation} | null} */ (null));
  const [text, setText] = useState(QUESTION);
  useEffect(() => () => playing?.simulation.leave(), [playing]);
  if (!hasBroker) return html`<p class="note">A simulated device or worker speaks MQTT: set MQTT_BROKER_HOST to play one.</p>`;
  const play = (/** @type {"device" | "worker"} */ part) =>
    setPlaying({ part, simulation: new Simulation(part, part === "device" ? text : undefined) });
  return html`<p class="note">The gateway plays the part over the real broker. Its frames pass here, beside the words that they become in the chat.</p>
    <div class="plays"><input type="text" maxlength="2000" aria-label="Question" value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
      <button class="button" disabled=${!text.trim()} onClick=${() => play("device")}>Play a device</button>
      <button class="button" onClick=${() => play("worker")}>Play a worker</button></div>
    ${playing ? html`<${Played} ...${playing} text=${text} mode=${mode} onEnd=${() => setPlaying(null)} />` : null}`;
}

/** @param {{part: "device" | "worker", simulation: Simulation, text: string, mode: string, onEnd: () => void}} props */
function Played({ part, simulation, text, mode, onEnd }) {
  const { state, problem, words, session, frames, asking } = useChanges(simulation);
  const is = { connecting: "connects to the broker …", running: part === "device" ? "waits for its answer" : "waits for requests", over: simulation.isAnswered ? "has its answer" : "has ended" }[state];
  return html`<div class="played">
    <p class="played-head"><span class=${`dot ${state === "over" ? "none" : "busy"}`}></span><span role="status">The ${part} ${is}</span>
      <button class="quiet small" onClick=${onEnd}>${state === "over" ? "Close" : "End"}</button></p>
    ${problem ? html`<p class="failure" role="alert">${problem}</p>` : null}
    ${
      part === "worker" && state === "running"
        ? html`<p class="ask"><button class="button" disabled=${asking || mode === "sse" || !text.trim()} onClick=${() => simulation.ask(text)}>Ask it in a chat</button>
            ${mode === "sse" ? html`<span class="note">Replies go over HTTP now: switch to MQTT or Auto, so that the worker is asked.</span>` : null}</p>`
        : null
    }
    <div class="sides">
      <div><h3>On MQTT</h3><${Frames} frames=${frames} /></div>
      <div><h3>In the chat ${session ? html`<a class="small" href=${addressOf(session)}>open</a>` : null}</h3><p class="words" dir="auto">${words}</p></div>
    </div></div>`;
}
