/** A device that the gateway plays in a room: what it says, and the frames that it sends and hears on MQTT. */

import { html, useEffect, useState } from "../../vendor/preact.js";
import { useChanges } from "../changes.js";
import { Frames } from "../control/frames.js";
import { mayAdminister } from "../gateway.js";
import { DeviceInRoom } from "./device_in_room.js";

/** Nothing for those who may not play one.
 * @param {{room: any, device: DeviceInRoom | null, onDevice: (device: DeviceInRoom | null) => void, asks: (text: string) => boolean}} props */
export function PlayedDevice({ room, device, onDevice, asks }) {
  const [may, setMay] = useState(false);
  useEffect(() => {
    mayAdminister().then(setMay);
  }, []);
  if (!may || room.role !== "owner") return null;
  if (device) return html`<${Playing} device=${device} asks=${asks} onEnd=${() => onDevice(null)} />`;
  return html`<div class="played-device"><h3>Simulated device</h3>
    <p class="note">The gateway plays an IoT device in this room, over the real broker.</p>
    <button class="button" onClick=${() => onDevice(new DeviceInRoom(room.session.uuid))}>Play the device</button></div>`;
}

/** @param {{device: DeviceInRoom, asks: (text: string) => boolean, onEnd: () => void}} props */
function Playing({ device, asks, onEnd }) {
  const { state, problem, frames } = useChanges(device);
  const [text, setText] = useState("The pump is at 71 °C. @model is that too hot?");
  const say = (/** @type {Event} */ event) => {
    event.preventDefault();
    device.say(text.trim(), asks(text));
    setText("");
  };
  const is = { connecting: "connects to the broker …", running: "is in the room", over: "has left" }[state];
  return html`<div class="played-device"><h3>Simulated device</h3>
    <p class="played-head"><span class=${`dot ${state === "running" ? "on" : "none"}`}></span><span role="status">The device ${is}</span>
      <button class="quiet small" onClick=${onEnd}>${state === "over" ? "Close" : "End"}</button></p>
    ${problem ? html`<p class="failure" role="alert">${problem}</p>` : null}
    ${
      state === "running"
        ? html`<form class="form-row" onSubmit=${say}><input aria-label="What the device says" maxlength="2000" value=${text}
            onInput=${(/** @type {any} */ event) => setText(event.target.value)} /><button class="button" disabled=${!text.trim()}>Say</button></form>`
        : null
    }
    <h4>Its frames on MQTT</h4><${Frames} frames=${frames} /></div>`;
}
