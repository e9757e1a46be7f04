/** Conversations that go on while another one is shown: their replies are read on, else the gateway would soon end them. */

import { login, NEEDS_KEY } from "../gateway.js";
import { whenLeft } from "../leaving.js";
import { Conversation } from "./conversation.js";

/** A page has six connections: these, two of the conversation that is shown, and one for requests. */
const MOST = 3;

let left = /** @type {Conversation[]} */ ([]);

/** Return the conversation to show. @param {string | null} session uuid; null: a new one */
export function enter(session) {
  const found = left.find((one) => session !== null && one.session?.uuid === session && !one.closed);
  left = left.filter((one) => one !== found && !one.closed);
  if (!found) return new Conversation(session);
  found.enter();
  return found;
}

/** Another one is shown now. @param {Conversation} conversation */
export function leave(conversation) {
  if (!conversation.live || (NEEDS_KEY && !login.key)) return conversation.close();
  conversation.leave();
  left.push(conversation);
  if (left.length > MOST) left.shift()?.close();
}

whenLeft(() => {
  for (const one of left) one.close();
  left = []; // the next visitor must not see them
});
