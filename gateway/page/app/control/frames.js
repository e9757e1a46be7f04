/** Frames on MQTT, one a line, as they go by. */

import { html, useLayoutEffect, useRef } from "../../vendor/preact.js";
import { Icon } from "../icons.js";
import { parsed } from "./simulation.js";

/** @param {{frames: import("./simulation.js").Frame[]}} props */
export function Frames({ frames }) {
  const ref = useRef(/** @type {HTMLOListElement | null} */ (null));
  useLayoutEffect(() => {
    if (ref.current) ref.current.scrollTop = ref.current.scrollHeight;
  }, [frames.length]);
  return html`<ol class="frames" ref=${ref} tabindex="0" aria-label="Frames">${frames.map((frame, at) => {
    const { type, id: _, ...rest } = parsed(frame.payload) ?? {};
    return html`<li key=${at} title=${`${frame.topic}\n${frame.payload}`}><span class=${frame.sent ? "way sent" : "way"} aria-label=${frame.sent ? "sent" : "received"}>
      <${Icon} name=${frame.sent ? "right" : "left"} /></span> <b>${type ?? "?"}</b> <span>${type ? brief(rest) : frame.payload}</span></li>`;
  })}</ol>`;
}

/** Return the fields in few characters. @param {Record<string, any>} fields */
function brief(fields) {
  return Object.entries(fields)
    .filter(([name, value]) => name !== "v" && value !== null && value !== "")
    .map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" · ")
    .slice(0, 160);
}
