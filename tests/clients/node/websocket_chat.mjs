// The AI SDK's WebSocket transport.
import { WebSocketChatTransport, readUIMessageStream } from "ai-7";
import WebSocket from "ws";
import { addCase, assert } from "./case.mjs";

const trigger = "submit-message";
const add = (call, run) => addCase("ai-7", "WebSocketChatTransport", call, run);
const question = (id, text) => ({ id, role: "user", parts: [{ type: "text", text }] });
const textOf = ({ parts }) => parts.map((part) => (part.type === "text" ? part.text : "")).join("");

const open = (url) =>
  new WebSocketChatTransport({
    url: `${url}/ws`,
    webSocket: WebSocket,
    headers: { "sluice-resumable": "1" },
    body: { model: "scripted" },
  });

async function read(stream) {
  let last;
  for await (const message of readUIMessageStream({ stream })) last = message;
  return last;
}

// Read until there is text.
async function begun(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    assert(!done, "no text came");
    if (value.type === "text-delta" && value.delta) {
      reader.read().catch(() => {}); // it fails with its socket
      return value.delta;
    }
  }
}

add("two chats at once; regenerate", async ({ url, ask }) => {
  const transport = open(url);
  const chatId = crypto.randomUUID();
  const asked = [question("u1", ask("say"))];
  const other = [question("u1", ask("say", ", the other one"))];
  const streams = await Promise.all([
    transport.sendMessages({ trigger, chatId, messages: asked }),
    transport.sendMessages({ trigger, chatId: `${chatId}-b`, messages: other }),
  ]);
  const told = await Promise.all(streams.map(read));
  const regenerate = { trigger: "regenerate-message", chatId, messages: asked };
  const again = await read(await transport.sendMessages(regenerate));
  transport.close();
  assert(again.id !== told[0].id, "the same answer");
  return [...told, again].map((message) => ["complete", textOf(message)]);
});

add("resume on a new socket", async ({ url, ask }) => {
  const chatId = crypto.randomUUID();
  let transport = open(url);
  assert((await transport.reconnectToStream({ chatId })) === null, "an unknown chat has a stream");
  const messages = [question("u1", ask("pause"))];
  const text = await begun(await transport.sendMessages({ trigger, chatId, messages }));
  transport.close();
  transport = open(url);
  const resumed = await transport.reconnectToStream({ chatId });
  await ask.go();
  const whole = textOf(await read(resumed));
  transport.close();
  assert(whole.startsWith(text), "another text");
  return [["complete", whole]];
});

add("abort", async ({ url, ask }) => {
  const transport = open(url);
  const aborting = new AbortController();
  const messages = [question("u1", ask("hold"))];
  const abortSignal = aborting.signal;
  const chatId = crypto.randomUUID();
  const text = await begun(await transport.sendMessages({ trigger, chatId, messages, abortSignal }));
  aborting.abort();
  return [["cancelled", text]];
});
