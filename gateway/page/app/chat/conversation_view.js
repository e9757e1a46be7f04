/** A conversation: one column of messages that follows what is written, and the composer. */

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../../vendor/preact.js";
import { useChanges } from "../changes.js";
import { Icon } from "../icons.js";
import { nameSession } from "../route.js";
import { Composer } from "./composer.js";
import { ContextGauge } from "./context_gauge.js";
import { MessageView } from "./message_view.js";
import { enter, leave } from "./open_conversations.js";
import { Presence, PresenceLine } from "./presence.js";
import { keptSettings, SettingsPanel } from "./settings.js";

const NEAR_END = 80; // pixels
let nextKey = 0;
const EXAMPLES = ["Tell me about the river.", "What happens at dawn?", "Write a table of three birds."];

/** @param {{session: string | null, onActivity: () => void, onSession: (session: string) => void}} props */
export function ConversationView({ session, onActivity, onSession }) {
  const conversation = useMemo(() => enter(session), []);
  useChanges(conversation);
  useEffect(() => {
    conversation.onactivity = onActivity;
    conversation.onsession = (uuid) => {
      nameSession(uuid);
      onSession(uuid);
    };
    return () => leave(conversation);
  }, []);
  const uuid = conversation.session?.uuid;
  const presence = useMemo(() => (uuid ? new Presence(uuid) : null), [uuid]);
  useEffect(() => () => presence?.close(), [presence]);
  const [settings, setSettings] = useState(keptSettings);
  const [open, setOpen] = useState(false);
  const [taken, setTaken] = useState(/** @type {{text: string, files: any[]} | null} */ (null));
  const scroller = useRef(/** @type {HTMLElement | null} */ (null));
  const [away, setAway] = useState(false);
  const follows = useRef(true);
  const drawn = useRef(/** @type {WeakMap<any, any>} */ (new WeakMap())); // views of messages that have not changed

  useLayoutEffect(() => {
    if (follows.current && scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  });
  useEffect(() => {
    const stop = (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape" && conversation.live && !event.defaultPrevented) conversation.stop();
    };
    addEventListener("keydown", stop);
    return () => removeEventListener("keydown", stop);
  }, []);

  const ask = (/** @type {string} */ text, files = /** @type {any[]} */ ([])) => {
    follows.current = true;
    conversation.ask(text, files, settings);
  };
  const scrolled = () => {
    const at = /** @type {HTMLElement} */ (scroller.current);
    follows.current = at.scrollHeight - at.scrollTop - at.clientHeight < NEAR_END;
    setAway(!follows.current);
  };
  const toEnd = () => {
    follows.current = true;
    setAway(false);
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight, behavior: "smooth" });
  };
  const { messages, failure } = conversation;
  const empty = !messages.length && !conversation.loading && !failure;
  return html`<section class=${empty ? "conversation empty" : "conversation"}>
    <div class="scroller" ref=${scroller} onScroll=${scrolled}>
      <div class="column" role="log" aria-label="Conversation" aria-live="off">
        ${empty ? html`<${Welcome} onAsk=${ask} />` : null}
        ${messages.map((message) => {
          const last = message === messages.at(-1);
          const before = drawn.current.get(message);
          if (before && before.version === message.version && before.settings === settings && before.last === last) return before.view;
          const key = before?.key ?? nextKey++;
          const view = html`<${MessageView} key=${key} message=${message} last=${last} conversation=${conversation}
            settings=${settings} onTakeBack=${setTaken} />`;
          drawn.current.set(message, { version: message.version, settings, last, key, view });
          return view;
        })}
        ${failure ? html`<p class="failure" role="alert">${failure.message}</p>` : null}
      </div>
    </div>
    <div class="column bottom">
      ${away ? html`<button class="to-end" aria-label="To the end" onClick=${toEnd}><${Icon} name="down" /></button>` : null}
      ${open ? html`<${SettingsPanel} settings=${settings} onChange=${setSettings} />` : null}
      <${Composer} session=${session} live=${Boolean(conversation.live)} taken=${taken} onSend=${ask}
        onTyping=${(/** @type {boolean} */ types) => presence?.types(types)} onStop=${() => conversation.stop()} />
      <div class="below">
        <button class="quiet small" aria-expanded=${open} onClick=${() => setOpen(!open)}><${Icon} name="settings" />
          ${settings.model || "Settings"}</button>
        <${ContextGauge} messages=${messages} />
        ${presence ? html`<${PresenceLine} presence=${presence} />` : null}
        ${conversation.connection === "waiting" ? html`<span class="note" role="status">Offline. It reconnects by itself.</span>` : null}
      </div>
    </div>
  </section>`;
}

/** @param {{onAsk: (text: string) => void}} props */
function Welcome({ onAsk }) {
  return html`<div class="welcome"><h1>What would you like to know?</h1>
    <div class="examples">${EXAMPLES.map((text) => html`<button class="example" key=${text} onClick=${() => onAsk(text)}>${text}</button>`)}</div></div>`;
}
