/** Who is in a room: members, those who are here, and what to call them. */

import { NEEDS_KEY } from "../gateway.js";

/** @typedef {import("../../sluice-client/rooms.js").Author} Author */
/** @typedef {{kind: "user" | "device", name: string, role: string, status: string | null}} Row status: null while away */

/** @param {Author | null} one @param {Author | null} other */
export function isSame(one, other) {
  return one !== null && other !== null && one.kind === other.kind && one.name === other.name;
}

/** Return a row for each member and each person who is here.
 *
 * Without keys everybody is one member, `local`, under any name: the names count.
 * @param {import("../../sluice-client/rooms.js").Member[]} members
 * @param {import("../../sluice-client/room.js").Person[]} people
 * @returns {Row[]} */
export function rowsOf(members, people) {
  const status = new Map(people.map((person) => [idOf(person.author), person.status]));
  const shown = NEEDS_KEY ? members : members.filter(({ kind }) => kind === "device");
  /** @type {Row[]} */
  const rows = shown.map(({ kind, name, role }) => ({ kind, name, role, status: status.get(idOf({ kind, name })) ?? null }));
  const listed = new Set(rows.map(idOf));
  for (const { author, status } of people) {
    if (author.kind === "assistant" || listed.has(idOf(author))) continue;
    rows.push({ kind: author.kind, name: String(author.name), role: "", status });
  }
  return rows;
}

/** Return how many persons may write here: in a room of one the model answers without being named.
 * @param {import("../../sluice-client/rooms.js").Member[]} members
 * @param {import("../../sluice-client/room.js").Person[]} people */
export function personCount(members, people) {
  const users = NEEDS_KEY ? members.map(({ kind, name }) => ({ kind, name })) : people.map(({ author }) => author);
  return new Set(users.filter(({ kind }) => kind === "user").map(({ name }) => name)).size;
}

/** @param {Author} author */
export function nameOf({ kind, name }) {
  return name || (kind === "assistant" ? "The model" : "Somebody");
}

/** Return "Anna is typing", for any number. @param {Author[]} typing */
export function typingWords(typing) {
  const names = typing.map(nameOf);
  if (names.length > 3) return `${names.length} people are typing`;
  const listed = new Intl.ListFormat("en", { type: "conjunction" }).format(names);
  return `${listed} ${names.length === 1 ? "is" : "are"} typing`;
}

/** @param {{kind: string, name: string | null}} author */
function idOf({ kind, name }) {
  return `${kind}:${name}`;
}
