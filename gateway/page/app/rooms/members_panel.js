/** Members of a room with their roles and presence: to be removed, or to leave; and the device that can be played here. */

import { html, useState } from "../../vendor/preact.js";
import { useChanges } from "../changes.js";
import { focused } from "../focused.js";
import { NEEDS_KEY, sluice } from "../gateway.js";
import { gatewayState } from "../gateway_state.js";
import { Icon } from "../icons.js";
import { NameField } from "./name_field.js";
import { isSame } from "./people.js";
import { PlayedDevice } from "./played_device.js";

/** @type {Record<string, string>} */
const ROLES = { owner: "owner", member: "", watcher: "only reads" };

/** @param {{room: any, rows: import("./people.js").Row[], onClose: () => void, onGone: () => void, [ofDevice: string]: any}} props
 *   ofDevice: of PlayedDevice */
export function MembersPanel({ room, rows, onClose, onGone, ...ofDevice }) {
  const { me, role } = room;
  const uuid = room.session.uuid;
  const canAnswer = useChanges(gatewayState).told?.llm.status === "up";
  const leave = () =>
    room.manage(async () => {
      await sluice.rooms.remove(uuid, { user: me.name });
      room.onactivity();
      onGone();
      return room;
    });
  return html`<aside class="members" id="members" aria-label="Members">
    <header><h2>Members</h2><button class="quiet" aria-label="Close the list of members" onClick=${onClose}><${Icon} name="close" /></button></header>
    <${NameField} onName=${(/** @type {string} */ name) => room.rename(name)} />
    <ul>${rows.map(
      (row) => html`<${MemberRow} key=${`${row.kind}:${row.name}`} row=${row} isMe=${isSame(me, row)}
        onRemove=${role === "owner" && row.role && row.role !== "owner" ? () => room.manage(() => sluice.rooms.remove(uuid, named(row))) : null} />`,
    )}
      <li class="member"><span class=${canAnswer ? "dot on" : "dot off"} role="img" aria-label=${canAnswer ? "can answer" : "cannot answer"}></span>
        <${Icon} name="spark" /><span class="name">@model</span><span class="note">the model</span></li></ul>
    ${NEEDS_KEY && me && role !== "owner" ? html`<${Sure} words="Leave the room" onSure=${leave} />` : null}
    <${PlayedDevice} room=${room} ...${ofDevice} />
  </aside>`;
}

/** @param {{row: import("./people.js").Row, isMe: boolean, onRemove: (() => void) | null}} props */
function MemberRow({ row, isMe, onRemove }) {
  const { kind, name, role, status } = row;
  const state = status === null ? "not here" : status === "online" ? "here" : status;
  return html`<li class=${status === null ? "member gone" : "member"}>
    <span class=${`dot ${status === null ? "none" : status === "online" ? "on" : "busy"}`} role="img" aria-label=${state}></span>
    <${Icon} name=${kind === "device" ? "device" : "person"} /><span class="name" dir="auto" title=${name}>${name}</span>
    <span class="note">${[isMe ? "you" : "", kind === "device" ? "device" : "", ROLES[role] ?? ""].filter(Boolean).join(" · ")}</span>
    ${onRemove ? html`<${Sure} words=${`Remove ${name}`} icon="close" onSure=${onRemove} />` : null}</li>`;
}

/** @param {import("./people.js").Row} row */
function named({ kind, name }) {
  return kind === "user" ? { user: name } : { device: name };
}

/** A button that asks again. @param {{words: string, icon?: any, onSure: () => void}} props */
function Sure({ words, icon, onSure }) {
  const [asked, setAsked] = useState(false);
  if (asked) {
    return html`<button class="button small-button danger" onClick=${onSure} onBlur=${() => setAsked(false)} ref=${focused}>Really ${words.split(" ")[0]?.toLowerCase()}</button>`;
  }
  return html`<button class="quiet small" title=${words} aria-label=${words} onClick=${() => setAsked(true)}>${icon ? html`<${Icon} name=${icon} />` : words}</button>`;
}
