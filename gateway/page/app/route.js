/** The part of the page that the address names: `#/` a new chat, `#/chat/KEY`, `#/templates`, `#/control`. */

import { useEffect, useState } from "../vendor/preact.js";

/** @typedef {{view: "chat" | "control" | "templates", session: string | null}} Route */

/** @returns {Route} */
export function currentRoute() {
  const [view, name] = location.hash.replace(/^#\//, "").split("/");
  if (view === "control" || view === "templates") return { view, session: null };
  return { view: "chat", session: view === "chat" && name ? decodeURIComponent(name) : null };
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

/** Name a session that has just begun, without a step in the browser's history. @param {string} session */
export function nameSession(session) {
  history.replaceState(null, "", addressOf(session));
}
