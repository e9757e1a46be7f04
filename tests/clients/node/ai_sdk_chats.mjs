// The AI SDK's DefaultChatTransport in six versions.
import { addCase, assert } from "./case.mjs";

const question = (id, text) => ({ id, role: "user", parts: [{ type: "text", text }] });
const textOf = ({ parts }) => parts.map((part) => (part.type === "text" ? part.text : "")).join("");

for (const name of ["ai-5.0.216", "ai-5.0.277", "ai-6.0.41", "ai-6.0.303", "ai-7.0.31", "ai-7"]) {
  const { DefaultChatTransport, readUIMessageStream } = await import(name);
  const read = async (stream) => {
    let last;
    for await (const message of readUIMessageStream({ stream })) last = message;
    return last;
  };

  addCase(name, "DefaultChatTransport", "send; drop and resume; load", async ({ url, ask }) => {
    const chatId = `${name}-${Date.now()}`;
    const headers = { "sluice-resumable": "1" };
    const transport = new DefaultChatTransport({ api: `${url}/api/chat`, headers });
    const trigger = "submit-message";
    const messages = [question("u1", "Tell me about the river.")];
    const first = await read(await transport.sendMessages({ trigger, chatId, messages }));
    messages.push(first, question("u2", ask("say")));
    const dropped = new AbortController();
    const body = { model: "scripted" };
    const sent = { trigger, chatId, messages, body, abortSignal: dropped.signal };
    const reader = (await transport.sendMessages(sent)).getReader();
    for (let chunk = 0; chunk < 4; chunk++) await reader.read();
    dropped.abort();
    const resumed = await transport.reconnectToStream({ chatId });
    const second = resumed === null ? null : await read(resumed); // null: the reply has ended meanwhile
    const loaded = await (await fetch(`${url}/api/chat/${chatId}/messages`)).json();
    const text = textOf(loaded.at(-1));
    assert(second === null || textOf(second) === text, "another text");
    return [["complete", textOf(first)], ["complete", text]];
  });
}
