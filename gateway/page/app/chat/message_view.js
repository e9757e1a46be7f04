/** One message: a question, or a reply with its reasoning, tool calls, text and figures. */

import { html, useErrorBoundary, useRef, useState } from "../../vendor/preact.js";
import { copy } from "../clipboard.js";
import { drawnAgainIf } from "../drawn_again.js";
import { focusComposer, focused, isTouched } from "../focused.js";
import { Icon } from "../icons.js";
import { whenLeft } from "../leaving.js";
import { TextView } from "../markdown/text_view.js";
import { isSame, nameOf } from "../rooms/people.js";
import { isComposing } from "../shortcuts.js";
import { TryNow } from "../try_now.js";
import { durationOf, momentOf, numberOf } from "../words.js";
import { PartsView } from "./parts_view.js";

/** version: of the message. settings: `current` has those of the next question.
 * @typedef {{message: any, version: number, last: boolean, conversation: any, settings: {current: object},
 *   onTakeBack: (taken: {text: string, files: any[]}) => void}} Props */
export const MessageView = drawnAgainIf(
  (/** @type {Props} */ before, next) => before.version !== next.version || before.last !== next.last,
  (props) => html`<${Guarded} ...${props} />`,
);

/** A message that cannot be drawn is shown as its text: without this the page would be empty. @param {Props} props */
function Guarded(props) {
  const [error] = useErrorBoundary(console.error);
  const { role, content } = props.message;
  if (!error) return role === "user" ? html`<${QuestionView} ...${props} />` : html`<${ReplyView} ...${props} />`;
  return html`<article class="message" aria-label=${role === "user" ? "Question" : "Reply"}>
    <p class="note">This message cannot be drawn. This is its text:</p><div class="block plain" dir="auto">${content}</div></article>`;
}

/** Edits that are open, by the ids of their questions: another tab may show another branch meanwhile. @type {Map<number, string>} */
const edits = new Map();
whenLeft(() => edits.clear());

/** @param {any} props */
function QuestionView({ message, conversation, settings, onTakeBack }) {
  const [draft, setShown] = useState(/** @type {string | null} */ (edits.get(message.id) ?? null));
  const setDraft = (/** @type {string | null} */ text) => {
    setShown(text);
    if (text === null) edits.delete(message.id);
    else edits.set(message.id, text);
  };
  const isLeft = useRef(false);
  const leave = () => {
    isLeft.current = true;
    setDraft(null);
  };
  const send = () =>
    conversation.atRest(() => {
      if (!draft?.trim() || draft === message.content) return leave();
      conversation.regenerate(message, settings.current, draft);
      edits.delete(message.id);
      focusComposer();
    });
  const refocus = (/** @type {HTMLElement | null} */ button) => {
    if (!button || !isLeft.current) return;
    isLeft.current = false;
    button.focus();
  };
  const { refused } = message;
  const { isRoom, me } = conversation;
  const isTheirs = isRoom && message.author && !isSame(message.author, me);
  if (draft !== null) {
    return html`<article class="message question editing" aria-label="Edit your message">
      <textarea dir="auto" aria-label="Your message" value=${draft} rows="4" ref=${focused}
        onInput=${(/** @type {any} */ event) => setDraft(event.target.value)}
        onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
          if (isComposing(event)) return;
          if (event.key === "Escape") {
            event.preventDefault(); // else it stops a reply too
            leave();
          }
          if (event.key === "Enter" && !event.shiftKey && (event.ctrlKey || event.metaKey || !isTouched())) {
            event.preventDefault();
            send();
          }
        }}></textarea>
      <div class="actions shown"><span class="note waits">Wait until the reply is complete, or stop it.</span>
        <button class="button" onClick=${leave}>Cancel</button><button class="button main rests" onClick=${send}>Send</button></div>
    </article>`;
  }
  const name = isRoom ? `Message of ${isTheirs ? nameOf(message.author) : "yours"}` : "Question";
  return html`<article class=${isTheirs ? "message question theirs" : "message question"} aria-label=${name}>
    ${isRoom || message.author?.kind === "device" ? html`<${AuthorLine} author=${message.author} message=${message} />` : null}
    <div class="bubble" dir="auto">${message.content}<${PartsView} parts=${message.parts} /></div>
    ${
      refused
        ? html`<p class="failure" role="alert">${refused.message}
          <button class="button" onClick=${() => onTakeBack(conversation.takeBack(message))}>Take back</button></p>`
        : isRoom && !message.id
          ? html`<div class="actions shown"><span class="note" role="status">Sending …</span></div>`
          : html`<div class="actions">
          <${Branches} message=${message} conversation=${conversation} />
          <${CopyButton} text=${message.content} />
          ${isRoom ? null : html`<button class="quiet rests" title="Edit" aria-label="Edit" ref=${refocus} disabled=${!message.id || Boolean(message.files?.length)} onClick=${() => conversation.atRest(() => setDraft(message.content))}><${Icon} name="edit" /></button>`}
        </div>`
    }
  </article>`;
}

/** @type {Record<string, any>} */
const MARKS = { device: "device", assistant: "spark" };

/** Who wrote a message, and when. @param {{author: any, message: any}} props */
function AuthorLine({ author, message }) {
  if (!author) return null;
  const mark = MARKS[author.kind];
  const when = message.created_at ? momentOf(message.created_at) : "";
  return html`<div class="author" title=${when}>${mark ? html`<${Icon} name=${mark} />` : null}<bdi>${nameOf(author)}</bdi></div>`;
}

/** Of replies whose error is not known. @type {Record<string, string>} */
const PROBLEMS = { interrupted: "The gateway ended before this reply was complete.", failed: "This reply failed." };

/** @param {any} props */
function ReplyView({ message, last, conversation, settings }) {
  const { live } = message;
  const waiting = live && !message.content && !message.reasoning;
  const problem = message.error?.message ?? PROBLEMS[message.status];
  return html`<article class="message reply" aria-label="Reply" aria-busy=${Boolean(live)}>
    ${conversation.isRoom ? html`<${AuthorLine} author=${message.author} message=${message} />` : null}
    <${Reasoning} text=${message.reasoning} live=${live && !message.content} />
    ${message.tool_calls?.map((/** @type {any} */ call) => html`<${ToolCall} key=${call.id} call=${call} />`)}
    ${waiting ? html`<${Waiting} message=${message} />` : null}
    ${message.content ? html`<${TextView} text=${message.content} live=${Boolean(live)} />` : null}
    ${live?.state === "waiting" ? html`<${Lost} isAsked=${Boolean(message.id)} />` : null}
    ${problem ? html`<p class="failure" role="alert">${problem}</p>` : null}
    ${live ? html`<${LiveFigures} message=${message} conversation=${conversation} />` : html`<${Footer} message=${message} last=${last} conversation=${conversation} settings=${settings} />`}
  </article>`;
}

/** @param {{isAsked: boolean}} props isAsked: a gateway has the question */
function Lost({ isAsked }) {
  const what = isAsked ? "The reply goes on; it is read again" : "The question is sent";
  return html`<p class="note" role="status">The connection is lost. ${what} as soon as the gateway answers. <${TryNow} /></p>`;
}

/** @param {{message: any}} props */
function Waiting({ message }) {
  const { progress } = message;
  let words = "Waiting for the first word";
  if (progress?.phase === "queued") words = `Waiting in line, place ${progress.position}`;
  if (progress?.phase === "prompt" && progress.total) words = `Reading, ${Math.round((100 * progress.processed) / progress.total)} %`;
  return html`<p class="waiting" role="status"><span class="typing" aria-hidden="true"><i></i><i></i><i></i></span>${words}</p>`;
}

/** @param {{text: string | null, live: boolean}} props */
function Reasoning({ text, live }) {
  if (!text) return null;
  return html`<details class="reasoning" open=${live}><summary>${live ? "Thinking" : "Thoughts"}</summary><${TextView} text=${text} /></details>`;
}

/** @param {{call: any}} props */
function ToolCall({ call }) {
  return html`<details class="tool"><summary><${Icon} name="tool" /> ${call.name}</summary>
    <pre tabindex="0">${pretty(call.args)}</pre>
    ${call.result === undefined ? null : html`<pre tabindex="0" class="result">${call.result}</pre>`}</details>`;
}

/** @param {string} json */
function pretty(json) {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

/** @param {{message: any, conversation: any}} props */
function LiveFigures({ message, conversation }) {
  const seconds = message.firstAt ? (performance.now() - message.firstAt) / 1000 : 0;
  const speed = seconds > 0.5 && message.live.deltas ? `${numberOf(message.live.deltas / seconds)} tokens/s` : "";
  const first = message.firstAt && message.askedAt ? `first word after ${durationOf(message.firstAt - message.askedAt)}` : "";
  return html`<p class="figures live-figures">${
    conversation.isRoom && conversation.role !== "watcher"
      ? html`<button class="button small-button stop-here" onClick=${() => conversation.stop(message)}><${Icon} name="stop" /> Stop</button>`
      : null
  }${[speed, first].filter(Boolean).join(" · ")}</p>`;
}

/** @type {Record<string, string>} */
const DELIVERIES = { token: "token by token", chunked: "came whole, shown in pieces", cached: "from memory" };
/** @type {Record<string, string>} */
const REASONS = { length: "cut at its length", user_stop: "stopped", abandoned: "left", content_filter: "cut by a filter", tool_calls: "calls a tool" };

/** @param {any} props */
function Footer({ message, last, conversation, settings }) {
  const { isRoom } = conversation;
  const cutOff = last && !isRoom && message.id && message.content && !message.tool_calls?.length && !["stop", "content_filter", "tool_calls"].includes(message.reason);
  const figures = [
    message.model,
    message.usage?.completion_tokens ? `${numberOf(message.usage.completion_tokens)} tokens` : "",
    message.tokens_per_s ? `${numberOf(message.tokens_per_s)}/s` : "",
    message.ttft_ms ? `first after ${durationOf(message.ttft_ms)}` : "",
    REASONS[message.reason] ?? "",
  ];
  const title = [message.created_at ? momentOf(message.created_at) : "", DELIVERIES[message.delivery] ?? ""];
  const ask = (/** @type {() => void} */ work) =>
    conversation.atRest(() => {
      work();
      focusComposer();
    });
  return html`<footer class="actions">
    <${Branches} message=${message} conversation=${conversation} />
    <${CopyButton} text=${message.content} />
    ${
      isRoom
        ? null
        : html`<button class="quiet rests" title="Another reply" aria-label="Another reply" disabled=${!message.id}
      onClick=${() => ask(() => conversation.regenerate(message, settings.current))}><${Icon} name="retry" /></button>`
    }
    <span class="figures" title=${title.filter(Boolean).join(", ")}>
      ${message.mode ? html`<b class="badge">${message.mode === "mqtt" ? "MQTT" : "HTTP"}</b>` : null}${" "}
      ${figures.filter(Boolean).join(" · ")}</span>
    ${cutOff ? html`<button class="button small-button rests" onClick=${() => ask(() => conversation.goOn(message, settings.current))}>Continue</button>` : null}
  </footer>`;
}

/** The branch that was chosen last: its button gets the focus, since the one that was pressed is gone. */
let chosen = { id: 0, by: 0 };

/** @param {any} props */
function Branches({ message, conversation }) {
  const ids = message.siblings ?? [];
  if (ids.length < 2 || conversation.isRoom) return null; // a room shows everybody the same
  const at = message.sibling_index;
  const step = (/** @type {number} */ by) => () =>
    conversation.atRest(() => {
      chosen = { id: ids[at + by], by };
      conversation.choose(chosen.id);
    });
  const refocus = (/** @type {HTMLElement | null} */ branches) => {
    if (!branches || chosen.id !== message.id || document.activeElement !== document.body) return;
    const [before, next] = branches.querySelectorAll("button");
    for (const button of chosen.by < 0 ? [next, before] : [before, next]) button?.focus(); // the last of them that can have it
    chosen.id = 0;
  };
  return html`<span class="branches" ref=${refocus}>
    <button class="quiet rests" aria-label="The one before" disabled=${at === 0} onClick=${step(-1)}><${Icon} name="left" /></button>
    <span>${at + 1}/${ids.length}</span>
    <button class="quiet rests" aria-label="The next one" disabled=${at === ids.length - 1} onClick=${step(1)}><${Icon} name="right" /></button>
  </span>`;
}

/** @param {{text: string}} props */
function CopyButton({ text }) {
  const [copied, setCopied] = useState(false);
  const take = async () => {
    await copy(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return html`<button class="quiet" title="Copy" aria-label=${copied ? "Copied" : "Copy"} onClick=${take}><${Icon} name="copy" />${copied ? html`<small>Copied</small>` : null}</button>`;
}
