/** Where the visitor writes: text that survives a reload, files, send and stop. */

import { html, useEffect, useMemo, useRef, useState } from "../../vendor/preact.js";
import { useChanges } from "../changes.js";
import { focusComposer, isTouched } from "../focused.js";
import { Icon } from "../icons.js";
import { inBrowser } from "../kept.js";
import { whenLeft } from "../leaving.js";
import { completed } from "../rooms/asks.js";
import { isComposing } from "../shortcuts.js";
import { fileNameOf } from "../words.js";
import { Attachments, forget } from "./attachments.js";

const LONG = 50_000; // characters: Chromium reads a text from its beginning at each key to find its direction
const draftName = (/** @type {string | null} */ session) => `sluice-draft:${session ?? "new"}`;

/** @param {{session: string | null, live: boolean, taken: {text: string, files: any[]} | null, onSend: (text: string, files: any[]) => void, onTyping: (types: boolean) => void,
 *   onStop: () => void, onText?: (text: string) => void, mentions?: boolean}} props
 *   onText: called with each text; mentions: `@` offers to name the model */
export function Composer({ session, live, taken, onSend, onTyping, onStop, onText, mentions = false }) {
  const [text, setText] = useState(() => inBrowser.get(draftName(session)) ?? "");
  const attachments = useChanges(useMemo(() => new Attachments(), []));
  const { files, problem, uploading } = attachments;
  const field = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const picker = useRef(/** @type {HTMLInputElement | null} */ (null));

  const write = (/** @type {string} */ words) => {
    setText(words);
    if (words) inBrowser.set(draftName(session), words);
    else inBrowser.remove(draftName(session));
  };
  useEffect(() => {
    if (!taken) return;
    write([taken.text, text].filter(Boolean).join("\n\n"));
    attachments.putBack(taken.files);
    field.current?.focus();
  }, [taken]);
  useEffect(() => {
    const at = field.current;
    if (!at) return;
    at.style.height = "auto";
    at.style.height = `${Math.min(at.scrollHeight, innerHeight * 0.4)}px`;
  }, [text]);
  useEffect(focusComposer, []);
  const named = useRef(session);
  useEffect(() => {
    if (named.current === session) return;
    inBrowser.remove(draftName(named.current)); // the session has its name now, and the draft goes with it
    named.current = session;
    write(text || (inBrowser.get(draftName(session)) ?? ""));
  }, [session]);
  useEffect(() => onText?.(text), [text]);
  useEffect(() => {
    const leave = () => forget(attachments.take()); // nobody could send or delete them
    const stay = whenLeft(leave);
    return () => {
      stay();
      leave();
    };
  }, []);
  useEffect(() => {
    const drop = (/** @type {DragEvent} */ event) => {
      if (event.dataTransfer?.types.includes("Files")) attachments.add(event.dataTransfer.files);
    };
    addEventListener("drop", drop); // anywhere
    return () => removeEventListener("drop", drop);
  }, []);
  const offered = mentions ? completed(text) : null; // at the end of the text, where one writes
  const accept = () => {
    write(String(offered));
    field.current?.focus();
  };

  const send = () => {
    const words = text.trim();
    if (live || uploading || (!words && !files.length)) return;
    onSend(words, attachments.take());
    onTyping(false);
    write("");
  };
  return html`<form class="composer" onSubmit=${(/** @type {Event} */ event) => {
    event.preventDefault();
    send();
  }}>
    ${problem ? html`<p class="failure" role="alert">${problem}</p>` : null}
    ${
      files.length
        ? html`<ul class="chips">${files.map(
            (file, index) => html`<li class=${file.id ? "chip" : "chip uploading"} key=${index} aria-busy=${!file.id}>
              ${file.url ? html`<img src=${file.url} alt="" />` : html`<${Icon} name="file" />`} <span dir="auto">${fileNameOf(file.name)}</span>
              <button type="button" class="quiet" aria-label=${`Remove ${fileNameOf(file.name)}`} onClick=${() => {
                attachments.remove(file);
                focusComposer();
              }}><${Icon} name="close" /></button></li>`,
          )}</ul>`
        : null
    }
    ${offered === null ? null : html`<button type="button" class="offer" onClick=${accept}><b>@model</b> asks the model <kbd>Tab</kbd></button>`}
    <span class="spoken" role="status">${offered === null ? "" : "Tab completes @model, which asks the model."}</span>
    <textarea ref=${field} rows="1" dir=${text.length < LONG ? "auto" : undefined} aria-label="Your message" placeholder="Write a message" value=${text}
      onInput=${(/** @type {any} */ event) => {
        write(event.target.value);
        onTyping(event.target.value !== "");
      }}
      onPaste=${(/** @type {ClipboardEvent} */ event) => {
        const { files = [], types = [] } = event.clipboardData ?? {};
        const pasted = [...files];
        const isText = types.includes("text/html") && types.includes("text/plain"); // of cells, with a picture of them
        if (pasted.length && !isText) {
          event.preventDefault();
          attachments.add(pasted);
        }
      }}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
        if (isComposing(event)) return;
        if (event.key === "Tab" && !event.shiftKey && offered !== null) {
          event.preventDefault();
          accept();
        }
        if (event.key !== "Enter" || event.shiftKey || (isTouched() && !event.ctrlKey && !event.metaKey)) return;
        event.preventDefault();
        send();
      }}></textarea>
    <div class="composer-row">
      <input ref=${picker} type="file" multiple hidden aria-hidden="true" tabindex="-1"
        onChange=${(/** @type {any} */ event) => {
          attachments.add([...event.target.files]);
          event.target.value = "";
        }} />
      <button type="button" class="quiet" title="Attach files" aria-label="Attach files" onClick=${() => picker.current?.click()}><${Icon} name="attach" /></button>
      ${
        live
          ? html`<button type="button" class="round stop" title="Stop (Esc)" aria-label="Stop" onClick=${() => {
              onStop();
              focusComposer();
            }}><${Icon} name="stop" /></button>`
          : html`<button class="round" title="Send (Enter)" aria-label="Send" disabled=${uploading || (!text.trim() && !files.length)}><${Icon} name="send" /></button>`
      }
    </div>
  </form>`;
}
