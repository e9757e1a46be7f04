// The client packages of the model APIs against one gateway: node model_clients.mjs BASE_URL.
// Prints what each of them received as JSON, by package.
import Anthropic from "@anthropic-ai/sdk";
import { HttpAgent } from "@ag-ui/client";
import { Ollama } from "ollama";

const url = process.argv[2];
const model = "tiny";
const messages = [{ role: "user", content: "Tell me about the river." }];

async function anthropic() {
  const client = new Anthropic({ baseURL: url, apiKey: "none", maxRetries: 0 });
  const stream = client.messages.stream({ model, max_tokens: 60, messages });
  let streamed = "";
  stream.on("text", (text) => (streamed += text));
  const final = await stream.finalMessage();
  const whole = await client.messages.create({ model, max_tokens: 60, messages });
  const refused = await client.messages
    .create({ model, max_tokens: 60, messages: [] })
    .catch((error) => error);
  return {
    texts: [streamed, whole.content[0].text],
    same: final.content[0].text === streamed,
    end: final.stop_reason,
    refused: [refused.status, refused.constructor.name],
  };
}

async function ollama() {
  const client = new Ollama({ host: url });
  let streamed = "";
  for await (const part of await client.chat({ model, messages, stream: true })) {
    streamed += part.message.content;
  }
  const whole = await client.chat({ model, messages });
  const generated = await client.generate({ model, prompt: "Tell me about the boat." });
  const listed = (await client.list()).models.map((listed) => listed.name);
  return { texts: [streamed, whole.message.content, generated.response], same: true, listed };
}

async function agUi() {
  const agent = new HttpAgent({
    url: `${url}/api/ag-ui`,
    threadId: `thread-${Date.now()}`,
    initialMessages: [{ id: "1", ...messages[0] }],
  });
  let streamed = "";
  await agent.runAgent(
    { runId: "run-1" },
    { onTextMessageContentEvent: ({ event }) => void (streamed += event.delta) },
  );
  const last = agent.messages.at(-1);
  return { texts: [last.content], same: last.content === streamed };
}

// Asks, then asks again, drops the connection in the middle and reads the reply on from its beginning.
async function aiSdk(name) {
  const { DefaultChatTransport, readUIMessageStream } = await import(name);
  const chatId = `${name}-${Date.now()}`;
  const transport = new DefaultChatTransport({
    api: `${url}/api/chat`,
    headers: { "sluice-resumable": "1" },
  });
  const read = async (stream) => {
    let last;
    for await (const message of readUIMessageStream({ stream })) last = message;
    return last;
  };
  const text = (message) =>
    message.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
  const question = (id, said) => ({ id, role: "user", parts: [{ type: "text", text: said }] });
  const asked = [question("u1", messages[0].content)];
  const trigger = "submit-message";
  const first = await read(await transport.sendMessages({ trigger, chatId, messages: asked }));
  asked.push(first, question("u2", "Tell me about the boat."));
  const dropped = new AbortController();
  const stream = await transport.sendMessages({
    trigger,
    chatId,
    messages: asked,
    abortSignal: dropped.signal,
  });
  const reader = stream.getReader();
  for (let chunk = 0; chunk < 4; chunk++) await reader.read();
  dropped.abort();
  const resumed = await transport.reconnectToStream({ chatId });
  const second = resumed === null ? null : await read(resumed);
  const loaded = await (await fetch(`${url}/api/chat/${chatId}/messages`)).json();
  return {
    texts: [text(first), ...(second === null ? [] : [text(second)])],
    same: second === null || text(second) === text(loaded.at(-1)),
    resumed: second !== null,
  };
}

const clients = { "@anthropic-ai/sdk": anthropic, ollama, "@ag-ui/client": agUi };
for (const name of ["ai-5.0.216", "ai-5.0.277", "ai-6.0.41", "ai-6.0.303", "ai-7.0.31", "ai-7"]) {
  clients[name] = () => aiSdk(name);
}
const told = {};
for (const [name, run] of Object.entries(clients)) told[name] = await run();
console.log(JSON.stringify(told));
