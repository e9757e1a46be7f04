/** Where the visitor writes: text that survives a reload, files, send and stop. */

import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { Icon } from "../icons.js";
import { attachmentOf } from "./attachments.js";

const draftName = (/** @type {string | null} */ session) => `sluice-draft:${session ?? "new"}`;

/** @param {{session: string | null, live: boolean, taken: {text: string} | null, onSend: (content: any) => void, onStop: () => void}} props */
export function Composer({ session, live, taken, onSend, onStop }) {
  const [text, setText] = useState(() => localStorage.getItem(draftName(session)) ?? "");
  const [files, setFiles] = useState(/** @type {import("./attachments.js").Attachment[]} */ ([]));
  const [problem, setProblem] = useState("");
  const field = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const picker = useRef(/** @type {HTMLInputElement | null} */ (null));

  const write = (/** @type {string} */ words) => {
    setText(words);
    if (words) localStorage.setItem(draftName(session), words);
    else localStorage.removeItem(draftName(session));
  };
  useEffect(() => {
    if (taken) write(taken.text);
  }, [taken]);
  useEffect(() => {
    const at = field.current;
    if (!at) return;
    at.style.height = "auto";
    at.style.height = `${Math.min(at.scrollHeight, innerHeight * 0.4)}px`;
  }, [text]);
  useEffect(() => field.current?.focus(), [session]);

  const attach = async (/** @type {Iterable<File>} */ chosen) => {
    setProblem("");
    for (const file of chosen) {
      try {
        const attachment = await attachmentOf(file);
        setFiles((before) => [...before, attachment]);
      } catch (error) {
        setProblem(/** @type {Error} */ (error).message);
      }
    }
  };
  const send = () => {
    const words = text.trim();
    if (live || (!words && !files.length)) return;
    onSend(files.length ? [...(words ? [{ type: "text", text: words }] : []), ...files.map((file) => file.part)] : words);
    write("");
    setFiles([]);
    setProblem("");
  };
  return html`<form class="composer" onSubmit=${(/** @type {Event} */ event) => {
    event.preventDefault();
    send();
  }}
    onDragOver=${(/** @type {Event} */ event) => event.preventDefault()}
    onDrop=${(/** @type {DragEvent} */ event) => {
      event.preventDefault();
      attach(event.dataTransfer?.files ?? []);
    }}>
    ${problem ? html`<p class="failure" role="alert">${problem}</p>` : null}
    ${
      files.length
        ? html`<ul class="chips">${files.map(
            (file, index) => html`<li class="chip" key=${index}>${file.name}
              <button type="button" class="quiet" aria-label=${`Remove ${file.name}`} onClick=${() => setFiles(files.filter((other) => other !== file))}><${Icon} name="close" /></button></li>`,
          )}</ul>`
        : null
    }
    <textarea ref=${field} rows="1" aria-label="Your message" placeholder="Write a message" value=${text}
      onInput=${(/** @type {any} */ event) => write(event.target.value)}
      onPaste=${(/** @type {ClipboardEvent} */ event) => {
        const pasted = [...(event.clipboardData?.files ?? [])];
        if (pasted.length) {
          event.preventDefault();
          attach(pasted);
        }
      }}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
        if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        send();
      }}></textarea>
    <div class="composer-row">
      <input ref=${picker} type="file" multiple hidden aria-hidden="true" tabindex="-1"
        onChange=${(/** @type {any} */ event) => {
          attach([...event.target.files]);
          event.target.value = "";
        }} />
      <button type="button" class="quiet" title="Attach files" aria-label="Attach files" onClick=${() => picker.current?.click()}><${Icon} name="attach" /></button>
      ${
        live
          ? html`<button type="button" class="round stop" title="Stop (Esc)" aria-label="Stop" onClick=${onStop}><${Icon} name="stop" /></button>`
          : html`<button class="round" title="Send (Enter)" aria-label="Send" disabled=${!text.trim() && !files.length}><${Icon} name="send" /></button>`
      }
    </div>
  </form>`;
}
