/** The replies that are being written, of all users. */

import { html, useState } from "../../vendor/preact.js";
import { Confirm } from "../dialog.js";
import { sluice } from "../gateway.js";
import { modeName } from "../mode_switch.js";
import { numberOf, spanOf } from "../words.js";
import { Fact } from "./parts.js";

/** @param {{streams: any[]}} props */
export function Streams({ streams }) {
  const [doomed, setDoomed] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState("");
  const stop = async () => {
    setDoomed(null);
    setProblem("");
    try {
      await sluice.admin.stopStream(doomed.id);
    } catch (error) {
      if (/** @type {any} */ (error).status !== 404) setProblem(/** @type {Error} */ (error).message); // 404: it has ended
    }
  };
  return html`${problem ? html`<p class="failure" role="alert">${problem}</p>` : null}
    ${
      streams.length
        ? html`<ul class="facts streams">${streams.map(
            (stream) => html`<${Fact} key=${stream.id} tone="busy" name=${stream.user} text=${figures(stream)}>
              <button class="quiet small" onClick=${() => setDoomed(stream)}>Stop</button></${Fact}>`,
          )}</ul>`
        : html`<p class="note">Nothing is being written.</p>`
    }
    ${
      doomed
        ? html`<${Confirm} title="Stop this reply?" danger action="Stop the reply" onYes=${stop} onNo=${() => setDoomed(null)}
            text=${`It was asked by ${doomed.user}. The text so far is kept.`} />`
        : null
    }`;
}

/** @param {any} stream */
function figures({ session_key, mode, dialect, age_s, chars, tokens_per_s }) {
  const where = session_key || "a test of a template";
  return html`${where} · ${mode ? modeName(mode) : "waits"} · ${dialect}<br />
    <span class="figures">${spanOf(age_s)} · ${numberOf(chars)} characters · ${numberOf(tokens_per_s)} tokens/s</span>`;
}
