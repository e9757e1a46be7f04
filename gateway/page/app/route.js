/** The part of the page that the address names: `#/` a new chat, `#/chat/KEY`, `#/join/TICKET`, `#/templates`, `#/control`. */

import { useEffect, useState } from "../vendor/preact.js";

/** ticket: of an invitation. @typedef {{view: "chat" | "control" | "join" | "templates", session: string | null, ticket?: string}} Route */

/** @returns {Route} */
export function currentRoute() {
  const [view, name] = location.hash.replace(/^#\//, "").split("/");
  if (view === "control" || view === "templates") return { view, session: null };
  if (view === "join" && name) return { view, session: null, ticket: decoded(name) };
  return { view: "chat", session: view === "chat" && name ? decoded(name) : null };
}

/** @returns {Route} */
export function useRoute() {
  const [route, set] = useState(currentRoute);
  useEffect(() => {
    const follow = () => set(currentRoute());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return route;
}

/** @param {string | null} session uuid; null: a new chat */
export function addressOf(session) {
  return session === null ? "#/" : `#/chat/${encodeURIComponent(session)}`;
}

/** Return the address that takes an invitation. @param {string} ticket */
export function invitationOf(ticket) {
  return `${location.origin}${location.pathname}#/join/${encodeURIComponent(ticket)}`;
}

/** @param {string} name */
function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // somebody cut the address
  }
}

/** Name a session that has just begun, without a step in the browser's history. @param {string} session */
export function nameSession(session) {
  history.replaceState(null, "", addressOf(session));
}
