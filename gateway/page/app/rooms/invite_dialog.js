/** Invites others to a session, which becomes a room: by a link, or by name. */

import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { copy } from "../clipboard.js";
import { NEEDS_KEY, sluice } from "../gateway.js";
import { Icon } from "../icons.js";
import { invitationOf } from "../route.js";

/** @param {{session: any, isRoom: boolean, onClose: () => void, onRoom: () => void}} props onRoom: the session has become a room */
export default function InviteDialog({ session, isRoom, onClose, onRoom }) {
  const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [role, setRole] = useState(/** @type {"member" | "watcher"} */ ("member"));
  const [link, setLink] = useState("");
  const [copied, setCopied] = useState(false);
  const [said, setSaid] = useState(/** @type {{text: string, failed: boolean} | null} */ (null));
  useEffect(() => ref.current?.showModal(), []);
  const trying = async (/** @type {() => Promise<unknown>} */ work) => {
    setSaid(null);
    try {
      await work();
      if (!isRoom) onRoom();
    } catch (error) {
      setSaid({ text: /** @type {Error} */ (error).message, failed: true });
    }
  };
  const makeLink = () => trying(async () => setLink(invitationOf((await sluice.rooms.invite(session.uuid, role)).ticket)));
  const take = async () => {
    await copy(link);
    setCopied(true);
  };
  return html`<dialog ref=${ref} class="card invite" aria-labelledby="invite-title" onClose=${onClose}>
    <header><h2 id="invite-title">${isRoom ? "Invite to this room" : "Make this chat a room"}</h2>
      <button class="quiet" aria-label="Close" onClick=${() => ref.current?.close()}><${Icon} name="close" /></button></header>
    <p class="note">${
      isRoom ? "" : "Everybody in a room sees all of its messages, the earlier ones too. "
    }${NEEDS_KEY ? "Whoever opens the link may join for seven days." : "This gateway has no keys: everybody who reaches it can open the link."}</p>
    ${
      NEEDS_KEY
        ? html`<fieldset><legend>They may</legend>
        ${/** @type {const} */ (["member", "watcher"]).map(
          (each) => html`<label key=${each}><input type="radio" name="role" checked=${role === each} onChange=${() => {
            setRole(each);
            setLink("");
          }} /> ${each === "member" ? "read and write" : "only read"}</label>`,
        )}</fieldset>`
        : null
    }
    ${
      link
        ? html`<div class="form-row"><input class="link-field" readonly aria-label="Invitation link" value=${link} onFocus=${(/** @type {any} */ event) => event.target.select()} />
        <button class="button main" onClick=${take} aria-live="polite">${copied ? "Copied" : "Copy"}</button></div>`
        : html`<button class="button main" onClick=${makeLink}>Make a link</button>`
    }
    <${AddMember} session=${session} trying=${trying} onAdded=${(/** @type {string} */ name) => setSaid({ text: `${name} is a member now.`, failed: false })} />
    ${said ? html`<p class=${said.failed ? "failure" : "note"} role=${said.failed ? "alert" : "status"}>${said.text}</p>` : null}
  </dialog>`;
}

/** @param {{session: any, trying: (work: () => Promise<unknown>) => Promise<void>, onAdded: (name: string) => void}} props */
function AddMember({ session, trying, onAdded }) {
  const [kind, setKind] = useState(/** @type {"user" | "device"} */ ("device"));
  const [name, setName] = useState("");
  const add = (/** @type {Event} */ event) => {
    event.preventDefault();
    return trying(async () => {
      await sluice.rooms.add(session.uuid, kind === "user" ? { user: name.trim() } : { device: name.trim() });
      onAdded(name.trim());
      setName("");
    });
  };
  return html`<form class="add-member" onSubmit=${add}><h3 id="add-title">Or add by name</h3>
    <div class="form-row">${
      NEEDS_KEY
        ? html`<select aria-label="Kind of member" value=${kind} onChange=${(/** @type {any} */ event) => setKind(event.target.value)}>
        <option value="device">device</option><option value="user">user</option></select>`
        : null
    }
      <input aria-labelledby="add-title" maxlength="300" placeholder=${kind === "device" ? "robot-1" : "ben"} value=${name}
        onInput=${(/** @type {any} */ event) => setName(event.target.value)} />
      <button class="button" disabled=${!name.trim()}>Add</button></div>
    ${kind === "device" ? html`<p class="note">${NEEDS_KEY ? "A device of yours, by" : "A device, by"} its name on MQTT.</p>` : null}</form>`;
}
