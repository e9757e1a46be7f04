/** Reads the messages of a session. */

import { sluice } from "../gateway.js";

const PAGE = 200;

/** Return the messages of the branch that is shown. @param {string} session uuid @returns {Promise<any[]>} */
export async function storedMessages(session) {
  const stored = [];
  while (true) {
    const after = stored.at(-1)?.id;
    const page = await sluice.sessions.messages(session, { path: true, limit: PAGE, ...(after && { after }) });
    stored.push(...page);
    if (page.length < PAGE) return stored;
  }
}
