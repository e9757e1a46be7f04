// The AI SDK's WebSocket transport against one gateway: node websocket_chat.mjs BASE_URL.
// Sends two chats at once, regenerates, cuts the socket and resumes, aborts. Prints the texts, by step.
import { WebSocketChatTransport, readUIMessageStream } from "ai-7";
import WebSocket from "ws";

const url = process.argv[2];
const chatId = `socket-${Date.now()}`;
const textOf = (message) =>
  message.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
const user = (id, text) => ({ id, role: "user", parts: [{ type: "text", text }] });
const open = () =>
  new WebSocketChatTransport({
    url: `${url}/ws`,
    webSocket: WebSocket,
    headers: { "sluice-resumable": "1" },
  });

async function read(stream) {
  let last;
  for await (const message of readUIMessageStream({ stream })) last = message;
  return last;
}

// Read until there is text, and keep the reader.
async function begun(stream) {
  const reader = stream.getReader();
  let text = "";
  while (text === "") {
    const { value, done } = await reader.read();
    if (done) break;
    if (value.type === "text-delta") text += value.delta;
  }
  return { reader, text };
}

let transport = open();
const trigger = "submit-message";
const nothing = await transport.reconnectToStream({ chatId });
const river = [user("u1", "Tell me about the river.")];
const boat = [user("u1", "Tell me about the boat.")];
const streams = await Promise.all([
  transport.sendMessages({ trigger, chatId, messages: river }),
  transport.sendMessages({ trigger, chatId: `${chatId}-b`, messages: boat }),
]);
const [first, other] = await Promise.all(streams.map(read));
const again = await read(
  await transport.sendMessages({ trigger: "regenerate-message", chatId, messages: river }),
);

const asked = [...river, again, user("u2", "Tell me about the mill.")];
const cut = await begun(await transport.sendMessages({ trigger, chatId, messages: asked }));
cut.reader.read().catch(() => {});
transport.close();
transport = open();
const resumed = await transport.reconnectToStream({ chatId });
const second = resumed === null ? null : await read(resumed);

const aborting = new AbortController();
const stopped = await begun(
  await transport.sendMessages({
    trigger,
    chatId: `${chatId}-c`,
    messages: boat,
    abortSignal: aborting.signal,
  }),
);
aborting.abort();
transport.close();
console.log(
  JSON.stringify({
    nothing,
    texts: [first, other, again, ...(second === null ? [] : [second])].map(textOf),
    begun: cut.text,
    stopped: stopped.text,
    chats: [chatId, `${chatId}-b`, `${chatId}-c`],
  }),
);
process.exit(0);
