/** Settings for the next questions: template, model, system prompt and sampling. Kept in this browser. */

import { html, useEffect, useState } from "../../vendor/preact.js";
import { useDraft } from "../draft.js";
import { sluice } from "../gateway.js";
import { inBrowser } from "../kept.js";

const NAME = "sluice-settings";

/** @returns {Record<string, any>} */
export function keptSettings() {
  try {
    return { ...JSON.parse(inBrowser.get(NAME) ?? "{}") }; // `null` empties the page
  } catch {
    return {};
  }
}

/** A deleted template must not refuse the next question. @param {number} id */
export function forgetTemplate(id) {
  const { template_id, ...others } = keptSettings();
  if (template_id === id) inBrowser.set(NAME, JSON.stringify(others));
}

const NUMBERS = [
  { name: "temperature", label: "Temperature", min: 0, max: 2, step: 0.1 },
  { name: "top_p", label: "Top p", min: 0, max: 1, step: 0.05 },
  { name: "max_tokens", label: "Longest reply", min: 1, max: 100000, step: 1 },
  { name: "seed", label: "Seed", min: 0, max: 2 ** 31, step: 1 },
];

/** @param {{settings: Record<string, any>, onChange: (settings: Record<string, any>) => void}} props */
export function SettingsPanel({ settings, onChange }) {
  const [models, setModels] = useState(/** @type {string[]} */ ([]));
  const [templates, setTemplates] = useState(/** @type {any[] | null} */ (null));
  useEffect(() => {
    sluice.models().then(setModels, () => {});
    sluice.templates.list().then(setTemplates, () => {});
  }, []);
  const set = (/** @type {string} */ name, /** @type {any} */ value) => {
    const { [name]: _, ...others } = settings;
    const next = value === "" || value === null || Number.isNaN(value) ? others : { ...others, [name]: value };
    inBrowser.set(NAME, JSON.stringify(next));
    onChange(next);
  };
  const isGone = templates && settings.template_id && !templates.some(({ id }) => id === settings.template_id);
  return html`<div class="settings" aria-label="Settings">
    <label class="half">Model<select value=${settings.model ?? ""} onChange=${(/** @type {any} */ event) => set("model", event.target.value)}>
      <option value="">default</option>${models.map((model) => html`<option value=${model} key=${model}>${model}</option>`)}</select></label>
    <label class="half">Template<select value=${settings.template_id ?? ""} onChange=${(/** @type {any} */ event) => set("template_id", event.target.value && Number(event.target.value))}>
      <option value="">none</option>${isGone ? html`<option value=${settings.template_id}>deleted</option>` : null}${templates?.map((template) => html`<option value=${template.id} key=${template.id}>${template.name}</option>`)}</select></label>
    <label class="wide">System prompt<${Prompt} text=${settings.system_prompt ?? ""} onChange=${(/** @type {string} */ text) => set("system_prompt", text)} /></label>
    ${NUMBERS.map(
      ({ name, label, ...range }) =>
        html`<label key=${name}>${label}<${NumberField} range=${range} value=${settings[name] ?? ""}
          onChange=${(/** @type {string} */ text) => set(name, text === "" ? "" : Number(text))} /></label>`,
    )}
  </div>`;
}

/** @param {{text: string, onChange: (text: string) => void}} props */
function Prompt({ text, onChange }) {
  return html`<textarea rows="3" dir="auto" ...${useDraft(text, onChange)}></textarea>`;
}

/** @param {{range: object, value: number | "", onChange: (text: string) => void}} props */
function NumberField({ range, value, onChange }) {
  return html`<input type="number" ...${range} placeholder="default" ...${useDraft(value, onChange)} />`;
}
