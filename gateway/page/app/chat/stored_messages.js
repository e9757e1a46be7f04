/** Reads the messages of a session. */

import { sluice } from "../gateway.js";

const PAGE = 1000;

/** Return the messages of the branch that is shown. @param {string} session uuid @returns {Promise<any[]>} */
export async function storedMessages(session) {
  const stored = [];
  while (true) {
    const after = stored.at(-1)?.id;
    const page = await sluice.sessions.messages(session, { path: true, limit: PAGE, ...(after && { after }) });
    if (!page.length) return stored; // one with large messages, such as images, has fewer than `limit`
    stored.push(...page);
  }
}

/** Give a message that is shown what is stored of it. @param {any} shown @param {any} stored @returns {boolean} true if it differs now */
export function mend(shown, stored) {
  const differs = Object.keys(stored).some((name) => !isEqual(shown[name], stored[name]));
  if (differs) Object.assign(shown, stored);
  return differs;
}

/** @param {any} one @param {any} other @returns {boolean} */
function isEqual(one, other) {
  if (one === other) return true;
  if (one === null || other === null || typeof one !== "object" || typeof other !== "object") return false;
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => isEqual(one[name], other[name]));
}
