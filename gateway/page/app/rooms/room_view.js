/** A room: who is there above the messages, the composer below them, and the list of members at the side. */

import { html, useEffect, useMemo, useState } from "../../vendor/preact.js";
import { useChanges } from "../changes.js";
import { Composer } from "../chat/composer.js";
import { MessageColumn } from "../chat/message_column.js";
import { gatewayState } from "../gateway_state.js";
import { Icon } from "../icons.js";
import { whenLeft } from "../leaving.js";
import { TryNow } from "../try_now.js";
import { isAddressed } from "./asks.js";
import { MembersPanel } from "./members_panel.js";
import { personCount, rowsOf, typingWords } from "./people.js";
import { RoomConversation } from "./room_conversation.js";

const AWAY_AFTER_MS = 60_000;

/** @param {{session: any, onActivity: () => void, onGone: () => void, onInvite: () => void}} props */
export default function RoomView({ session, onActivity, onGone, onInvite }) {
  const room = useMemo(() => new RoomConversation(session), []);
  useChanges(room);
  useEffect(() => {
    room.onactivity = onActivity;
    const stay = whenLeft(() => room.close());
    return () => {
      stay();
      room.close();
    };
  }, []);
  useAway(room);
  const [device, setDevice] = useState(/** @type {import("./device_in_room.js").DeviceInRoom | null} */ (null));
  useEffect(() => () => device?.leave(), [device]);
  const [open, setOpen] = useState(() => innerWidth >= 1100);
  const [taken, setTaken] = useState(/** @type {{text: string, files: any[]} | null} */ (null));
  const [text, setText] = useState("");
  const models = useChanges(gatewayState).told?.llm.models ?? [];
  const { members, people, typing, role, connection, failure } = room;
  const asks = (/** @type {string} */ words) => personCount(room.members, room.people) < 2 || isAddressed(words, models);
  const rows = rowsOf(members, people);
  const here = rows.filter(({ status }) => status !== null).length;
  const send = (/** @type {string} */ words, files = /** @type {any[]} */ ([])) => room.say(words, files, () => asks(words));
  return html`<section class=${open ? "conversation room panel-open" : "conversation room"}>
    <header class="room-head"><h1 dir="auto">${session.title || "Room"}</h1>
      <button class="quiet small" aria-expanded=${open} aria-controls="members" onClick=${() => setOpen(!open)}><${Icon} name="people" />
        ${here ? `${here} here` : "Members"}</button>
      ${role === "owner" ? html`<button class="quiet small" onClick=${onInvite}>Invite…</button>` : null}</header>
    <${MessageColumn} conversation=${room} onTakeBack=${setTaken} empty=${
      room.messages.length || room.loading || failure ? null : html`<p class="note room-empty">Nothing has been said yet.</p>`
    }>
      ${
        role === "watcher" || connection === "ended"
          ? html`<p class="note watcher">${connection === "ended" ? "You hear nothing more of this room." : "You watch this room: you see what is said, and cannot write."}</p>`
          : html`<${Composer} session=${session.uuid} live=${false} taken=${taken} onSend=${send} onText=${setText} mentions
              onTyping=${(/** @type {boolean} */ types) => room.types(types)} onStop=${() => {}} />`
      }
      <div class="below">
        <span class="note typing-line" role="status">${
          typing.length
            ? html`<span class="typing" aria-hidden="true"><i></i><i></i><i></i></span> ${typingWords(typing)}`
            : connection === "waiting"
              ? html`Offline. It reconnects by itself. <${TryNow} />`
              : null
        }</span>
        ${role === "watcher" || connection === "ended" ? null : html`<span class="note hint">${asks(text) ? "The model will answer." : "Write @model to ask the model."}</span>`}
      </div>
    </${MessageColumn}>
    ${open ? html`<${MembersPanel} room=${room} rows=${rows} asks=${asks} device=${device} onDevice=${setDevice} onClose=${() => setOpen(false)} onGone=${onGone} />` : null}
    <p class="spoken" role="status">${room.news}</p>
  </section>`;
}

/** Tell the room "away" while the page has not been seen for a minute. @param {RoomConversation} room */
function useAway(room) {
  useEffect(() => {
    let timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
    const tell = () => {
      clearTimeout(timer);
      if (document.visibilityState === "visible") room.presence("online");
      else timer = setTimeout(() => room.presence("away"), AWAY_AFTER_MS);
    };
    document.addEventListener("visibilitychange", tell);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", tell);
    };
  }, []);
}
