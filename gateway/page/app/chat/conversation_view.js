/** A conversation: its messages, the composer, and below it the settings, the context's gauge and the way to a room. */

import { html, useEffect, useMemo, useState } from "../../vendor/preact.js";
import { useChanges } from "../changes.js";
import { focusComposer } from "../focused.js";
import { Icon } from "../icons.js";
import { Later } from "../later.js";
import { whenLeft } from "../leaving.js";
import { nameSession } from "../route.js";
import { isComposing } from "../shortcuts.js";
import { TryNow } from "../try_now.js";
import { Composer } from "./composer.js";
import { ContextGauge } from "./context_gauge.js";
import { MessageColumn } from "./message_column.js";
import { enter, leave } from "./open_conversations.js";
import { Presence, PresenceLine } from "./presence.js";
import { keptSettings, SettingsPanel } from "./settings.js";

const loadRoom = () => import("../rooms/room_view.js");
const loadInviteDialog = () => import("../rooms/invite_dialog.js");

const EXAMPLES = ["Tell me about the river.", "What happens at dawn?", "Write a table of three birds."];

/** @param {{session: string | null, onActivity: () => void, onSession: (session: string) => void, onGone: () => void}} props */
export function ConversationView({ session, onActivity, onSession, onGone }) {
  const conversation = useMemo(() => enter(session), []);
  useChanges(conversation);
  useEffect(() => {
    conversation.onactivity = onActivity;
    conversation.onsession = (uuid) => {
      nameSession(uuid);
      onSession(uuid);
    };
    const stay = whenLeft(() => conversation.close());
    return () => {
      stay();
      leave(conversation);
    };
  }, []);
  const stored = conversation.session;
  const uuid = stored?.uuid;
  const presence = useMemo(() => (uuid && !stored.room ? new Presence(uuid) : null), [uuid, stored?.room]);
  useEffect(() => () => presence?.close(), [presence]);
  const [settings, setSettings] = useState(keptSettings);
  const [open, setOpen] = useState(false);
  const [invites, setInvites] = useState(false);
  const [taken, setTaken] = useState(/** @type {{text: string, files: any[]} | null} */ (null));
  useEffect(() => {
    const stop = (/** @type {KeyboardEvent} */ event) => {
      const field = /** @type {HTMLElement} */ (event.target).closest("input, select"); // which have an Escape of their own
      const closes = event.defaultPrevented || isComposing(event) || field || document.querySelector("dialog[open]");
      if (event.key === "Escape" && conversation.live && !closes) conversation.stop();
    };
    addEventListener("keydown", stop);
    return () => removeEventListener("keydown", stop);
  }, []);
  const ask = (/** @type {string} */ text, files = /** @type {any[]} */ ([])) => conversation.ask(text, files, settings);
  const isRoom = stored?.room ?? false;
  const { messages, failure } = conversation;
  const empty = !messages.length && !conversation.loading && !failure;
  const chat = () => html`<section class=${empty ? "conversation empty" : "conversation"}>
    <${MessageColumn} conversation=${conversation} settings=${settings} onTakeBack=${setTaken} empty=${empty ? html`<${Welcome} onAsk=${ask} />` : null}>
      ${open ? html`<${SettingsPanel} settings=${settings} onChange=${setSettings} />` : null}
      <${Composer} session=${uuid ?? session} live=${Boolean(conversation.live)} taken=${taken} onSend=${ask}
        onTyping=${(/** @type {boolean} */ types) => presence?.types(types)} onStop=${() => conversation.stop()} />
      <div class="below">
        <button class="quiet small" aria-expanded=${open} onClick=${() => setOpen(!open)}><${Icon} name="settings" />
          ${settings.model || "Settings"}</button>
        ${uuid ? html`<button class="quiet small" onClick=${() => setInvites(true)}><${Icon} name="people" /> Invite…</button>` : null}
        <span class="between"></span>
        <${ContextGauge} messages=${messages} />
        ${presence ? html`<${PresenceLine} presence=${presence} />` : null}
        ${conversation.connection === "waiting" ? html`<span class="note" role="status">Offline. It reconnects by itself. <${TryNow} /></span>` : null}
      </div>
    </${MessageColumn}>
    <p class="spoken" role="status">${conversation.news}</p>
  </section>`;
  return html`${
    isRoom ? html`<${Later} key="room" load=${loadRoom} session=${stored} onActivity=${onActivity} onGone=${onGone} onInvite=${() => setInvites(true)} />` : chat()
  }${
    invites
      ? html`<${Later} key="invite" load=${loadInviteDialog} session=${stored} isRoom=${isRoom} onClose=${() => setInvites(false)} onRoom=${() => {
          conversation.becomeRoom();
          onActivity();
        }} />`
      : null
  }`;
}

/** @param {{onAsk: (text: string) => void}} props */
function Welcome({ onAsk }) {
  return html`<div class="welcome"><h1>What would you like to know?</h1>
    <div class="examples">${EXAMPLES.map((text) => html`<button class="example" key=${text} onClick=${() => {
      onAsk(text);
      focusComposer();
    }}>${text}</button>`)}</div></div>`;
}
