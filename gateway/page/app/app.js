/** The whole page: sessions at the side, a conversation or the control room beside them. */

import { html, useEffect, useMemo, useState } from "../vendor/preact.js";
import { useChanges } from "./changes.js";
import { ConversationView } from "./chat/conversation_view.js";
import { SessionList, SessionListView } from "./chat/session_list.js";
import { focused } from "./focused.js";
import { login, NEEDS_KEY, ROOT, sluice, VERSION } from "./gateway.js";
import { Icon } from "./icons.js";
import { inBrowser } from "./kept.js";
import { Later } from "./later.js";
import { leave } from "./leaving.js";
import { useRoute } from "./route.js";
import { Shortcuts } from "./shortcuts.js";
import { StatusLine } from "./status_line.js";

const LATER = {
  control: () => import("./control/control_room.js"),
  join: () => import("./rooms/join_view.js"),
  templates: () => import("./templates/templates_view.js"),
};

const CLOSES_LIST = "[aria-label='Close the list']";
const VIEWS = [
  ["control", "Control room"],
  ["templates", "Templates"],
];

export function App() {
  const [known, setKnown] = useState(!NEEDS_KEY || Boolean(login.key));
  if (!known) return html`<${Login} onLogin=${() => setKnown(true)} />`;
  return html`<${Studio} onLogout=${() => {
    leave();
    login.forget();
    inBrowser.clear(); // drafts and settings, which are not for the next visitor
    setKnown(false);
  }} />`;
}

/** @param {{onLogout: () => void}} props */
function Studio({ onLogout }) {
  const route = useRoute();
  const list = useMemo(() => new SessionList(), []);
  useEffect(() => () => list.close(), [list]);
  const [aside, setAside] = useState(false);
  const [begun, setBegun] = useState(/** @type {string | null} */ (null));
  const [fresh, setFresh] = useState(0);
  // A conversation that has just got its name stays the view that it was: the route does not change then.
  const { session } = route;
  useEffect(() => {
    setAside(false);
    if (session !== null || route.view !== "chat") setBegun(null);
  }, [session, route.view]);
  useEffect(() => {
    if (!aside) return;
    /** @type {HTMLElement | null} */ (document.querySelector(CLOSES_LIST))?.focus();
    const hear = (/** @type {KeyboardEvent} */ event) => {
      const hasOwnEscape = document.querySelector(".session .menu") || /** @type {HTMLElement} */ (event.target).closest("input");
      if (event.key !== "Escape" || hasOwnEscape) return;
      event.preventDefault(); // else it stops a reply too
      closeList();
    };
    addEventListener("keydown", hear, true);
    return () => removeEventListener("keydown", hear, true);
  }, [aside]);
  const closeList = () => {
    setAside(false);
    /** @type {HTMLElement | null} */ (document.querySelector(".top button"))?.focus();
  };
  const begin = () => {
    setBegun(null);
    setFresh((count) => count + 1);
    location.hash = "#/";
  };
  const view = () => {
    if (route.view !== "chat") {
      return html`<${Later} key=${route.ticket ?? route.view} load=${LATER[route.view]} ticket=${route.ticket} onJoined=${() => list.refresh()} />`;
    }
    return html`<${ConversationView} key=${session ?? `fresh ${fresh}`} session=${session}
      onActivity=${() => list.refresh()} onSession=${setBegun} onGone=${begin} />`;
  };
  const choose = (/** @type {Event} */ event) => {
    if (/** @type {HTMLElement} */ (event.target).closest("a, .wide-button")) setAside(false); // also what is shown already
  };
  return html`<div class=${aside ? "studio aside-open" : "studio"}>
    <aside onClick=${choose}>
      <header><a class="brand" href="#/" onClick=${begin}>Sluice</a> <span class="version">${VERSION}</span>
        <button class="quiet only-narrow" aria-label="Close the list" onClick=${closeList}><${Icon} name="close" /></button></header>
      <button class="button main wide-button" onClick=${begin}><${Icon} name="plus" /> New chat</button>
      <${SessionListView} list=${list} current=${session ?? begun} onGone=${begin} />
      <footer>
        <${StatusLine} />
        <nav class="links" aria-label="More">${VIEWS.map(
          ([view, name]) => html`<a key=${view} href=${`#/${view}`} aria-current=${route.view === view ? "page" : undefined}>${name}</a>`,
        )}<a href=${`${ROOT}/docs`}>API</a>
        ${NEEDS_KEY ? html`<button onClick=${onLogout}>Log out</button>` : null}</nav>
      </footer>
    </aside>
    <${TopBar} list=${list} session=${session ?? begun} view=${route.view} onMenu=${() => setAside(true)} onNew=${begin} />
    <div class="scrim" onClick=${() => setAside(false)}></div>
    <main>${view()}</main>
    <${Shortcuts} onNew=${begin} />
  </div>`;
}

/** Above narrow windows; it names the browser's tab too.
 * @param {{list: SessionList, session: string | null, view: string, onMenu: () => void, onNew: () => void}} props */
function TopBar({ list, session, view, onMenu, onNew }) {
  useChanges(list);
  const named = VIEWS.find(([name]) => name === view)?.[1] ?? list.sessions.find(({ uuid }) => uuid === session)?.title;
  useEffect(() => {
    document.title = named ? `${named} · Sluice` : "Sluice";
    return () => {
      document.title = "Sluice"; // the next visitor must not see it
    };
  }, [named]);
  return html`<div class="top only-narrow"><button class="quiet" aria-label="Sessions" onClick=${onMenu}><${Icon} name="menu" /></button>
    <strong dir="auto">${named ?? "Sluice"}</strong>
    <button class="quiet" aria-label="Begin a new chat" onClick=${onNew}><${Icon} name="plus" /></button></div>`;
}

/** @param {{onLogin: () => void}} props */
function Login({ onLogin }) {
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState("");
  const enter = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (/[^ -~]/.test(key.trim())) return setProblem("The key has a character that no API key has: copy it again."); // nor any header
    login.keep(key.trim());
    try {
      await sluice.sessions.list({ limit: 1 });
      onLogin();
    } catch (error) {
      login.forget();
      setProblem(/** @type {Error} */ (error).message);
    }
  };
  return html`<main class="login"><form onSubmit=${enter}><h1>Sluice</h1>
    <label>API key<input type="password" autocomplete="off" value=${key} onInput=${(/** @type {any} */ event) => setKey(event.target.value)} ref=${focused} /></label>
    ${problem ? html`<p class="failure" role="alert">${problem}</p>` : null}
    <button class="button main" disabled=${!key.trim()}>Enter</button>
    <p class="note">This tab keeps the key until it is closed.</p></form></main>`;
}
