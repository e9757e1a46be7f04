/** How a reply ended. */

const FIELDS = ["reason", "mode", "delivery", "model", "usage", "ttft_ms", "tokens_per_s"];
/** Said by a screen reader; it says a failure's message anyway. @type {Record<string, string>} */
const WORDS = { complete: "The reply is complete.", cancelled: "The reply was stopped." };

/** @param {any} answer @param {any} event the reply's last one */
export function noteEnd(answer, event) {
  for (const field of FIELDS) if (event[field] !== undefined) answer[field] = event[field];
  answer.status = event.type === "error" ? "failed" : event.reason === "user_stop" ? "cancelled" : "complete";
  answer.error = event.type === "error" ? event : null;
}

/** @param {any} answer @returns {string} */
export function spokenEnd({ status }) {
  return WORDS[status] ?? "";
}
