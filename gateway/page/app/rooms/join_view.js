/** Takes an invitation: the address has its ticket. */

import { html, useState } from "../../vendor/preact.js";
import { sluice } from "../gateway.js";
import { addressOf } from "../route.js";
import { NameField } from "./name_field.js";

/** @param {{ticket: string, onJoined: () => void}} props */
export default function JoinView({ ticket, onJoined }) {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const join = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const room = await sluice.rooms.join(ticket);
      onJoined();
      location.replace(addressOf(room.uuid)); // the ticket leaves the address and the history
    } catch (error) {
      setProblem(/** @type {Error} */ (error).message);
      setBusy(false);
    }
  };
  return html`<section class="join"><form onSubmit=${join}><h1>You are invited to a room</h1>
    <p class="note">Everybody in a room sees its messages, and who is there.</p>
    <${NameField} />
    ${problem ? html`<p class="failure" role="alert">${problem}</p>` : null}
    <button class="button main" disabled=${busy}>Join the room</button></form></section>`;
}
