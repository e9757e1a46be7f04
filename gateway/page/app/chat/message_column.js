/** One column of messages that follows what is written, until the visitor scrolls away from the end. */

import { html, useEffect, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";
import { Icon } from "../icons.js";
import { MessageView } from "./message_view.js";

const NEAR_END = 80; // pixels
const AT_ONCE = 30; // messages that are drawn at a time
let nextKey = 0;

/** @param {{conversation: any, settings?: object, empty?: any, onTakeBack: (taken: {text: string, files: any[]}) => void, children?: any}} props
 *   empty: shown in place of messages; children: below the messages' column */
export function MessageColumn({ conversation, settings = {}, empty, onTakeBack, children }) {
  const { messages, failure } = conversation;
  const scroller = useRef(/** @type {HTMLElement | null} */ (null));
  const column = useRef(/** @type {HTMLElement | null} */ (null));
  const [away, setAway] = useState(false);
  const follows = useRef(true);
  const drawn = useRef(/** @type {WeakMap<any, number>} */ (new WeakMap())); // keys of the messages that are drawn
  const latest = useRef(settings);
  latest.current = settings;
  const prints = useRef(false);
  const first = prints.current ? 0 : firstDrawn(messages, drawn.current);
  const [, drawMore] = useState(0);
  const sent = messages.findLast((/** @type {any} */ message) => message.id === null);
  const before = useRef(/** @type {any} */ (null));

  useLayoutEffect(() => {
    if (sent && sent !== before.current) follows.current = true; // one's own message is shown
    before.current = sent;
    if (follows.current && scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  });
  useEffect(() => {
    const keepEnd = () => {
      if (follows.current && scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
    };
    const sizes = new ResizeObserver(keepEnd); // a phone's keyboard, and what grows later: images, formulas, code
    for (const { current } of [scroller, column]) sizes.observe(/** @type {HTMLElement} */ (current));
    return () => sizes.disconnect();
  }, []);
  useEffect(() => {
    const drawAll = () => {
      prints.current = true;
      drawMore((count) => count + 1); // before the browser prints: it waits for what its event does
    };
    const drawSome = () => {
      prints.current = false;
    };
    addEventListener("beforeprint", drawAll);
    addEventListener("afterprint", drawSome);
    return () => {
      removeEventListener("beforeprint", drawAll);
      removeEventListener("afterprint", drawSome);
    };
  }, []);
  useEffect(() => {
    if (first === 0) return;
    const timer = setTimeout(() => drawMore((count) => count + 1));
    return () => clearTimeout(timer);
  });
  const scrolled = (/** @type {Event} */ event) => {
    const at = /** @type {HTMLElement} */ (event.currentTarget); // it may be gone from the page already
    follows.current = at.scrollHeight - at.scrollTop - at.clientHeight < NEAR_END;
    setAway(!follows.current);
  };
  const toEnd = () => {
    follows.current = true;
    setAway(false);
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight, behavior: "smooth" });
  };
  return html`<div class=${away ? "scroller away" : "scroller"} ref=${scroller} onScroll=${scrolled}>
      <div class=${conversation.live ? "column writing" : "column"} ref=${column} role="log" aria-label="Conversation" aria-live="off">
        ${empty}
        ${messages.slice(first).map((/** @type {any} */ message) => {
          const last = message === messages.at(-1);
          const key = drawn.current.get(message) ?? nextKey++;
          drawn.current.set(message, key);
          return html`<${MessageView} key=${key} message=${message} version=${message.version} last=${last} conversation=${conversation}
            settings=${latest} onTakeBack=${onTakeBack} />`;
        })}
        ${failure ? html`<p class="failure" role="alert">${failure.message}</p>` : null}
      </div>
    </div>
    <div class="column bottom">
      ${away ? html`<button class="to-end" aria-label="To the end" onClick=${toEnd}><${Icon} name="down" /></button>` : null}
      ${children}
    </div>`;
}

/** Return the index of the first message to draw. The end of a long conversation is drawn at once, the rest bit by bit before it.
 * @param {any[]} messages @param {WeakMap<any, any>} drawn loses those that are not drawn any more */
function firstDrawn(messages, drawn) {
  let first = messages.length;
  for (let more = AT_ONCE; first > 0; first -= 1) {
    if (drawn.has(messages[first - 1])) continue;
    if (more === 0) break;
    more -= 1;
  }
  for (const message of messages.slice(0, first)) drawn.delete(message);
  return first;
}
