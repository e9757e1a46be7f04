/** Templates: make, change, delete and try them. */

import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { forgetTemplate } from "../chat/settings.js";
import { Confirm } from "../dialog.js";
import { sluice } from "../gateway.js";
import { TextView } from "../markdown/text_view.js";

const NEW = { id: null, name: "", system_prompt: "", temperature: null, max_tokens: null };

export default function TemplatesView() {
  const [templates, setTemplates] = useState(/** @type {any[]} */ ([]));
  const [edited, setEdited] = useState(/** @type {any} */ (NEW));
  const [problem, setProblem] = useState("");
  const [doomed, setDoomed] = useState(false);
  const load = () => sluice.templates.list().then(setTemplates, (error) => setProblem(error.message));
  useEffect(() => {
    load();
  }, []);
  const trying = async (/** @type {() => Promise<any>} */ work) => {
    try {
      await work();
      setProblem("");
      await load();
    } catch (error) {
      setProblem(/** @type {Error} */ (error).message);
    }
  };
  const save = () =>
    trying(async () => {
      const { id, created_at: _created, updated_at: _updated, ...settings } = edited;
      const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null && value !== ""));
      setEdited(id === null ? await sluice.templates.create(/** @type {any} */ (given)) : await sluice.templates.replace(id, /** @type {any} */ (given)));
    });
  const remove = () => {
    setDoomed(false);
    return trying(async () => {
      await sluice.templates.delete(edited.id);
      forgetTemplate(edited.id);
      setEdited(NEW);
    });
  };
  const set = (/** @type {string} */ name) => (/** @type {any} */ event) =>
    setEdited({ ...edited, [name]: event.target.type === "number" && event.target.value !== "" ? Number(event.target.value) : event.target.value });
  return html`<section class="templates"><div class="column">
    <h1>Templates</h1>
    <p class="note">A template is a name for settings of a question.</p>
    <div class="chips" role="group" aria-label="Templates">
      ${templates.map((one) => html`<button key=${one.id} class=${one.id === edited.id ? "button main" : "button"} onClick=${() => setEdited(one)}>${one.name}</button>`)}
      <button class="button" onClick=${() => setEdited(NEW)}>New</button>
    </div>
    <form class="settings" onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      save();
    }}>
      <label class="wide">Name<input value=${edited.name} maxlength="120" required onInput=${set("name")} /></label>
      <label class="wide">System prompt<textarea rows="5" value=${edited.system_prompt ?? ""} onInput=${set("system_prompt")}></textarea></label>
      <label class="half">Temperature<input type="number" min="0" max="2" step="0.1" placeholder="default" value=${edited.temperature ?? ""} onInput=${set("temperature")} /></label>
      <label class="half">Longest reply<input type="number" min="1" placeholder="default" value=${edited.max_tokens ?? ""} onInput=${set("max_tokens")} /></label>
      <div class="wide form-row"><button class="button main" disabled=${!edited.name.trim()}>Save</button>
        ${edited.id === null ? null : html`<button type="button" class="button" onClick=${() => setDoomed(true)}>Delete</button>`}</div>
    </form>
    ${
      doomed
        ? html`<${Confirm} title="Delete this template?" danger action="Delete the template" onYes=${remove} onNo=${() => setDoomed(false)}
            text="Its settings are lost." />`
        : null
    }
    ${problem ? html`<p class="failure" role="alert">${problem}</p>` : null}
    ${edited.id === null ? null : html`<${Trial} key=${edited.id} id=${edited.id} />`}
  </div></section>`;
}

/** Try a saved template. Nothing is stored. @param {{id: number}} props */
function Trial({ id }) {
  const [question, setQuestion] = useState("");
  const [text, setText] = useState("");
  const [state, setState] = useState("");
  const [runs, setRuns] = useState(false);
  const reply = useRef(/** @type {any} */ (null));
  useEffect(() => () => reply.current?.close(), []);
  const run = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (reply.current) return; // Enter in the field
    const asked = sluice.tryTemplate(id, question);
    reply.current = asked;
    setRuns(true);
    setText("");
    setState("Waiting for the first word");
    for await (const told of asked) {
      if (told.type === "chunk") setState("");
      setText(asked.text);
      if (told.type === "error") setState(told.message ?? "It failed.");
      if (told.type === "progress" && told.phase === "prompt" && told.total) setState(`Reading, ${Math.round((100 * told.processed) / told.total)} %`);
    }
    reply.current = null;
    setRuns(false);
    setText(asked.text);
  };
  return html`<form class="trial" onSubmit=${run}><h2>Try it</h2>
    <div class="form-row"><input aria-label="Question" placeholder="A question" value=${question} onInput=${(/** @type {any} */ event) => setQuestion(event.target.value)} />
      ${
        runs
          ? html`<button type="button" class="button" onClick=${() => reply.current?.stop().catch(() => {})}>Stop</button>`
          : html`<button class="button main" disabled=${!question.trim()}>Try</button>`
      }</div>
    ${state ? html`<p class="note" role="status">${state}</p>` : null}
    ${text ? html`<${TextView} text=${text} />` : null}
  </form>`;
}
