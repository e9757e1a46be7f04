/** Says whether a message in a room asks the model, before it is sent: as gateway/core/addressing.py does. */

const BEGUN = /(?<![\w@.-])@(?:m|mo|mod|mode)?$/i;

/** True if the text addresses the model. @param {string} text @param {string[]} models names */
export function isAddressed(text, models) {
  if (!text.includes("@")) return false;
  const names = ["model", ...models].map((name) => name.toLowerCase().replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`(?<![\\w@.-])@(?:${names.join("|")})(?!\\w)`, "u").test(text.toLowerCase());
}

/** Return the text with the `@model` completed that it ends with a part of; null if it does not. @param {string} text */
export function completed(text) {
  return BEGUN.test(text) ? text.replace(BEGUN, "@model ") : null;
}
