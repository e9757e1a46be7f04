/** Images, sound and files of a message. */

import { html } from "../../vendor/preact.js";
import { Icon } from "../icons.js";
import { fileNameOf } from "../words.js";

/** @param {{parts: any[] | null | undefined}} props */
export function PartsView({ parts }) {
  const shown = (parts ?? []).filter((part) => part.type !== "text");
  if (!shown.length) return null;
  return html`<div class="parts">${shown.map((part, index) => html`<${Part} key=${index} part=${part} />`)}</div>`;
}

/** @param {{part: any}} props */
function Part({ part }) {
  if (part.type === "image_url") return html`<img src=${part.image_url.url} alt="Attached" loading="lazy" />`;
  if (part.type === "input_audio") {
    return html`<audio controls src=${`data:audio/${part.input_audio.format};base64,${part.input_audio.data}`}></audio>`;
  }
  return html`<span class="chip"><${Icon} name="file" /><span dir="auto">${fileNameOf(part.file?.filename ?? "file")}</span></span>`;
}
