/** Settings for the next questions: template, model, system prompt and sampling. Kept in this browser. */

import { html, useEffect, useState } from "../../vendor/preact.js";
import { sluice } from "../gateway.js";

const NAME = "sluice-settings";

/** @returns {Record<string, any>} */
export function keptSettings() {
  try {
    return JSON.parse(localStorage.getItem(NAME) ?? "{}");
  } catch {
    return {};
  }
}

/** A deleted template must not refuse the next question. @param {number} id */
export function forgetTemplate(id) {
  const { template_id, ...others } = keptSettings();
  if (template_id === id) localStorage.setItem(NAME, JSON.stringify(others));
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
    localStorage.setItem(NAME, JSON.stringify(next));
    onChange(next);
  };
  const isGone = templates && settings.template_id && !templates.some(({ id }) => id === settings.template_id);
  return html`<div class="settings" aria-label="Settings">
    <label class="half">Model<select value=${settings.model ?? ""} onChange=${(/** @type {any} */ event) => set("model", event.target.value)}>
      <option value="">default</option>${models.map((model) => html`<option value=${model} key=${model}>${model}</option>`)}</select></label>
    <label class="half">Template<select value=${settings.template_id ?? ""} onChange=${(/** @type {any} */ event) => set("template_id", event.target.value && Number(event.target.value))}>
      <option value="">none</option>${isGone ? html`<option value=${settings.template_id}>deleted</option>` : null}${templates?.map((template) => html`<option value=${template.id} key=${template.id}>${template.name}</option>`)}</select></label>
    <label class="wide">System prompt<textarea rows="3" value=${settings.system_prompt ?? ""} onChange=${(/** @type {any} */ event) => set("system_prompt", event.target.value)}></textarea></label>
    ${NUMBERS.map(
      ({ name, label, ...range }) =>
        html`<label key=${name}>${label}<input type="number" ...${range} placeholder="default" value=${settings[name] ?? ""}
          onChange=${(/** @type {any} */ event) => set(name, event.target.value === "" ? "" : Number(event.target.value))} /></label>`,
    )}
  </div>`;
}
