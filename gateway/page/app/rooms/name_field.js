/** The visitor's name, where no key says it. */

import { html, useEffect, useState } from "../../vendor/preact.js";
import { NEEDS_KEY } from "../gateway.js";
import { cleaned, ownName } from "./own_name.js";

/** @param {{onName?: (name: string) => void}} props onName: another name was given */
export function NameField({ onName = (name) => ownName.set(name) }) {
  const [name, setName] = useState("");
  useEffect(() => {
    ownName.get().then(setName);
  }, []);
  if (NEEDS_KEY) return null;
  const give = async () => {
    await onName(cleaned(name));
    setName(await ownName.get());
  };
  return html`<label class="name-field">Your name<input value=${name} maxlength="40" autocomplete="nickname"
    onInput=${(/** @type {any} */ event) => setName(event.target.value)} onChange=${give} /></label>`;
}
