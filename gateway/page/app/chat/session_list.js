/** The sessions at the side, grouped by date, loaded as the visitor scrolls. */

import { html, useEffect, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";
import { Changing, useChanges } from "../changes.js";
import { focused } from "../focused.js";
import { isForNow, RETRY_MS, sluice } from "../gateway.js";
import { Icon } from "../icons.js";
import { addressOf } from "../route.js";
import { isComposing } from "../shortcuts.js";
import { groupOf } from "../words.js";

const PAGE = 60;
const MOST = 200; // that the gateway gives at a time
const SOON_MS = 100;

export class SessionList extends Changing {
  /** @type {any[]} */
  sessions = [];
  more = true;
  /** @type {Error | null} */
  failure = null;
  #rooms = /** @type {any[]} */ ([]); // others' rooms, which are not among the visitor's sessions
  #search = "";
  #turn = 0;
  #closed = false;
  #timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  #soon = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);

  /** Load the first page again, and as many sessions as are shown: once for all that happens at about the same time. */
  refresh() {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.#load(null, Math.max(PAGE, this.sessions.length));
    }, SOON_MS);
  }

  /** @param {string} search */
  async search(search) {
    this.#search = search;
    await this.#load(null, PAGE);
  }

  async loadMore() {
    const last = this.sessions.findLast(({ isTheirs }) => !isTheirs);
    if (this.more && last) await this.#load(last.uuid, PAGE);
  }

  /** Load nothing any more: the visitor has logged out. */
  close() {
    this.#closed = true;
    this.#turn += 1;
    clearTimeout(this.#timer);
  }

  /** @param {string | null} before @param {number} count */
  async #load(before, count) {
    if (this.#closed) return;
    this.#turn += 1;
    const turn = this.#turn;
    try {
      const [page, rooms] = await Promise.all([
        sessionsOf(this.#search, before, count),
        before ? this.#rooms : sluice.rooms.list(),
      ]);
      if (turn !== this.#turn) return; // a newer request is on its way
      this.#rooms = rooms;
      const own = before ? this.sessions.filter(({ isTheirs }) => !isTheirs) : [];
      this.more = page.length === count;
      const each = new Map([...own, ...page].map((session) => [session.uuid, session])); // one that has moved may come twice
      this.sessions = this.#withRooms([...each.values()]);
      this.failure = null;
    } catch (error) {
      if (turn !== this.#turn) return;
      this.failure = /** @type {Error} */ (error);
    }
    clearTimeout(this.#timer);
    if (isForNow(this.failure) || this.sessions.some(({ live }) => live)) this.#timer = setTimeout(() => this.refresh(), RETRY_MS); // also where replies are being written
    this.changed();
  }

  /** Do it, and return whether it succeeded; a failure is shown. @param {() => Promise<unknown>} work */
  async trying(work) {
    try {
      await work();
      return true;
    } catch (error) {
      this.failure = /** @type {Error} */ (error);
      this.changed();
      return false;
    }
  }

  /** Put the rooms of others between one's own sessions. @param {any[]} own @returns {any[]} */
  #withRooms(own) {
    const known = new Set(own.map(({ id }) => id));
    const last = own.at(-1)?.updated_at ?? "";
    const words = this.#search.toLowerCase();
    const theirs = this.#rooms.filter(
      (room) => !known.has(room.id) && (!this.more || room.updated_at >= last) && room.title.toLowerCase().includes(words),
    );
    const all = [...own, ...theirs.map((room) => ({ ...room, room: true, isTheirs: true }))];
    return all.sort((one, other) => (one.updated_at < other.updated_at ? 1 : -1));
  }
}

/** @param {string} q @param {string | null} before uuid @param {number} count @returns {Promise<any[]>} */
async function sessionsOf(q, before, count) {
  const found = [];
  while (found.length < count) {
    const last = found.at(-1)?.uuid ?? before;
    const limit = Math.min(MOST, count - found.length);
    const page = await sluice.sessions.list({ q, limit, ...(last && { before: last }) });
    found.push(...page);
    if (page.length < limit) break;
  }
  return found;
}

/** @param {{list: SessionList, current: string | null, onGone: () => void}} props */
export function SessionListView({ list, current, onGone }) {
  useChanges(list);
  const [words, setWords] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => list.search(words), words ? 200 : 0);
    return () => clearTimeout(timer);
  }, [words]);
  const end = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    const watcher = new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && list.loadMore());
    if (end.current) watcher.observe(end.current);
    return () => watcher.disconnect();
  }, [list.sessions.length]);
  const groups = Map.groupBy(list.sessions, (session) => groupOf(session.updated_at));
  return html`<nav class="sessions" aria-label="Sessions">
    <label class="search"><${Icon} name="search" /><input type="search" placeholder="Search" aria-label="Search sessions" value=${words}
      onInput=${(/** @type {any} */ event) => setWords(event.target.value)} /></label>
    <div class="session-scroller">
      ${[...groups].map(
        ([name, sessions]) => html`<section key=${name}><h2>${name}</h2><ul>${sessions.map(
          (session) => html`<${SessionRow} key=${session.uuid} session=${session} current=${session.uuid === current} list=${list} onGone=${onGone} />`,
        )}</ul></section>`,
      )}
      ${list.failure ? html`<p class="failure">${list.failure.message}</p>` : null}
      ${!list.sessions.length && !list.failure ? html`<p class="note">${words ? "Nothing found." : "No sessions yet."}</p>` : null}
      <div ref=${end} class="list-end"></div>
    </div>
  </nav>`;
}

/** Give the next session in the list the focus, or the one before. @param {HTMLElement | null} row */
function focusBeside(row) {
  const rows = [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".session"))];
  const at = rows.indexOf(/** @type {HTMLElement} */ (row));
  (rows[at + 1] ?? rows[at - 1])?.querySelector("a")?.focus();
}

/** @param {any} props */
function SessionRow({ session, current, list, onGone }) {
  const [title, setTitle] = useState(/** @type {string | null} */ (null));
  const [open, setOpen] = useState(false);
  const [sure, setSure] = useState(false);
  const gaveUp = useRef(false);
  const isRenamed = useRef(false); // by a key
  const row = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => {
    if (open) row.current?.querySelector(".menu")?.scrollIntoView({ block: "nearest" });
  }, [open]);
  const focusMenuButton = () => /** @type {HTMLElement | null | undefined} */ (row.current?.querySelector(":scope > button"))?.focus();
  useLayoutEffect(() => {
    if (title === null && isRenamed.current) focusMenuButton();
    isRenamed.current = false;
  }, [title]);
  useLayoutEffect(() => {
    // Not after the menu is painted: an Escape until then would stop a reply, and the menu would stay.
    if (!open) return;
    const leave = (/** @type {Event} */ event) => {
      if (!row.current?.contains(/** @type {Node} */ (event.target))) setOpen(false);
    };
    const close = (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape") return;
      event.preventDefault(); // else it stops a reply too
      setOpen(false);
      focusMenuButton();
    };
    addEventListener("click", leave, true);
    addEventListener("keydown", close, true);
    return () => {
      removeEventListener("click", leave, true);
      removeEventListener("keydown", close, true);
    };
  }, [open]);
  const rename = async () => {
    const words = title?.trim().slice(0, 120);
    const renames = !gaveUp.current && words && words !== session.title;
    const succeeded = !renames || (await list.trying(() => sluice.sessions.rename(session.uuid, words)));
    setTitle(null);
    if (succeeded) list.refresh();
  };
  const remove = async () => {
    if (!(await list.trying(() => sluice.sessions.delete(session.uuid)))) return;
    if (current) onGone();
    else focusBeside(row.current);
    list.refresh();
  };
  const save = (/** @type {"json" | "md"} */ format) => {
    setOpen(false);
    focusMenuButton();
    return list.trying(async () => {
      const url = URL.createObjectURL(await sluice.sessions.export(session.uuid, format));
      Object.assign(document.createElement("a"), { href: url, download: `${session.key}.${format}` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    });
  };
  if (title !== null) {
    return html`<li class="session"><input class="rename" dir="auto" aria-label="Title" value=${title} maxlength="120" ref=${focused}
      onInput=${(/** @type {any} */ event) => setTitle(event.target.value)} onBlur=${rename}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
        if (isComposing(event) || (event.key !== "Enter" && event.key !== "Escape")) return;
        event.preventDefault(); // else Escape stops a reply too
        gaveUp.current = event.key === "Escape";
        isRenamed.current = true;
        /** @type {HTMLElement} */ (event.target).blur();
      }} /></li>`;
  }
  return html`<li class=${current ? "session current" : "session"} ref=${row}>
    <a href=${addressOf(session.uuid)} aria-current=${current ? "page" : undefined} title=${session.title} dir="auto">${
      session.room ? html`<${Icon} name="people" /><span class="spoken">Room: </span>` : null
    }${session.title || "Untitled"}</a>
    ${session.live ? html`<span class="dot busy" role="img" aria-label="A reply is being written"></span>` : null}
    <button class="quiet" aria-label=${`More for ${session.title || "Untitled"}`} aria-expanded=${open} onClick=${() => {
      setOpen(!open);
      setSure(false);
    }}><${Icon} name="more" /></button>
    ${
      open
        ? html`<div class="menu" role="group" aria-label="Session">
        ${
          session.isTheirs
            ? null
            : html`<button onClick=${() => {
          setOpen(false);
          gaveUp.current = false;
          setTitle(session.title);
        }}>Rename</button>`
        }
        <button onClick=${() => save("md")}>Save as Markdown</button>
        <button onClick=${() => save("json")}>Save as JSON</button>
        ${session.isTheirs ? null : html`<button class="danger" onClick=${() => (sure ? remove() : setSure(true))}>${sure ? "Really delete" : "Delete"}</button>`}</div>`
        : null
    }
  </li>`;
}
