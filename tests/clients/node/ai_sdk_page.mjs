// One load of a page with the AI SDK's useChat. The page is rendered by React into jsdom.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { JSDOM } from "jsdom";

const dom = new JSDOM("<main></main>", { url: "http://localhost/" });
for (const name of ["window", "document", "navigator"]) {
  Object.defineProperty(globalThis, name, { value: dom.window[name], configurable: true });
}
const { createElement } = await import("react");
const { createRoot } = await import("react-dom/client");

export const VERSIONS = ["5.0.216", "5.0.277", "6.0.41", "6.0.303", "7.0.31", "7"].map(
  (ai) => `ai-react-${ai}`,
);

// useChat of one version, and the `ai` that it stands on.
export async function version(name) {
  const require = createRequire(import.meta.url);
  const own = createRequire(require.resolve(name));
  const ai = await import(pathToFileURL(own.resolve("ai")));
  const { version } = JSON.parse(readFileSync(own.resolve("ai/package.json")));
  return { useChat: (await import(name)).useChat, ai, ai_version: version };
}

export const textOf = (message) =>
  message.parts.map((part) => (part.type === "text" ? part.text : "")).join("");

export function openPage(url, { useChat, ai }, id, { body = {}, ...options } = {}) {
  const place = document.createElement("main");
  const leaving = new AbortController();
  const transport = new ai.DefaultChatTransport({
    api: `${url}/api/chat`,
    headers: { "sluice-resumable": "1" },
    body: { model: "scripted", ...body },
    fetch: (input, init) => {
      const signals = [leaving.signal, ...(init?.signal ? [init.signal] : [])];
      return fetch(input, { ...init, signal: AbortSignal.any(signals) });
    },
  });
  const waiting = new Set();
  const page = {
    chat: undefined,
    failed: [],
    shown: () => [...place.querySelectorAll("p")].map((line) => line.textContent),
    status: () => place.querySelector("section")?.className,
    // Wait until the page shows what the condition asks for.
    until: (condition) =>
      new Promise((resolve) => {
        const check = () => {
          if (!condition(page)) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
    // A browser closes the connections of a page that it leaves.
    leave: () => {
      leaving.abort();
      root.unmount();
    },
  };
  function Page() {
    const chat = useChat({
      id,
      transport,
      onError: (error) => page.failed.push(String(error)),
      ...options,
    });
    page.chat = chat;
    queueMicrotask(() => waiting.forEach((check) => check()));
    const lines = chat.messages.map((message) =>
      createElement("p", { key: message.id }, textOf(message)),
    );
    return createElement("section", { className: chat.status }, ...lines);
  }
  const root = createRoot(place);
  root.render(createElement(Page));
  return page;
}

export const ready = (lines) => (page) =>
  page.status() === "ready" && page.shown().length === lines;
export const speaks = (line) => (page) => (page.shown()[line] ?? "") !== "";

// The texts that a page gets when it loads.
export async function stored(url, id) {
  return (await fetch(`${url}/api/chat/${id}/messages`)).json();
}
