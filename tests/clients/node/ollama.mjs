// Ollama's own package.
import { Ollama } from "ollama";
import { addCase, assert, raised, REAL, SCRIPTED } from "./case.mjs";

const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", function: { name: "weather", description: "Of a city.", parameters } }];
const user = (content) => [{ role: "user", content }];
const add = (call, run) => addCase("ollama", "chat", call, run);

async function read(parts) {
  const whole = { content: "", thinking: "", tool_calls: [] };
  for await (const { message } of await parts) {
    whole.content += message.content;
    whole.thinking += message.thinking ?? "";
    whole.tool_calls.push(...(message.tool_calls ?? []));
  }
  return whole;
}

add("whole", async ({ url }) => {
  const answer = await new Ollama({ host: url }).chat({ model: REAL, messages: user("Tell me more.") });
  return [["complete", answer.message.content]];
});
add("stream", async ({ url, ask }) => {
  const asked = { model: SCRIPTED, messages: user(ask("think")), stream: true, think: true };
  const { content, thinking } = await read(new Ollama({ host: url }).chat(asked));
  assert(thinking, "no thinking");
  return [["complete", content]];
});
add("tool round, streamed", async ({ url, ask }) => {
  const asked = { model: SCRIPTED, messages: user(ask("call")), stream: true, tools };
  const { tool_calls } = await read(new Ollama({ host: url }).chat(asked));
  assert(tool_calls[0].function.arguments.city === "Paris", JSON.stringify(tool_calls));
  asked.messages.push({ role: "assistant", content: "", tool_calls });
  asked.messages.push({ role: "tool", content: "sunny", tool_name: "weather" });
  const { content } = await read(new Ollama({ host: url }).chat(asked));
  assert(content.includes("sunny"), content);
  return [["complete", content]];
});
add("stop", async ({ url, ask }) => {
  const client = new Ollama({ host: url });
  const parts = await client.chat({ model: SCRIPTED, messages: user(ask("hold")), stream: true });
  for await (const { message } of parts) {
    if (!message.content) continue;
    client.abort();
    return [["cancelled", message.content]];
  }
});
add("errors", async ({ url, ask }) => {
  const client = new Ollama({ host: url });
  for (const [command, status] of [["refuse", 4], ["fail", 5]]) {
    for (const stream of [false, true]) {
      const error = await raised(client.chat({ model: SCRIPTED, messages: user(ask(command)), stream }));
      assert(Math.floor(error.status_code / 100) === status, error);
    }
  }
  let said = "";
  const hear = async () => {
    const asked = { model: SCRIPTED, messages: user(ask("break")), stream: true };
    for await (const { message } of await client.chat(asked)) said += message.content;
  };
  await raised(hear());
  return [["failed", said]];
});
addCase("ollama", "others", "generate, list, ps, show, embed", async ({ url }) => {
  const client = new Ollama({ host: url });
  const { response } = await client.generate({ model: REAL, prompt: "Tell me about the boat." });
  const names = ({ models }) => models.map((model) => model.name).sort();
  const listed = [names(await client.list()), names(await client.ps())];
  assert(JSON.stringify(listed[0]) === JSON.stringify([SCRIPTED, REAL]), JSON.stringify(listed));
  assert((await client.show({ model: REAL })).capabilities.includes("completion"), "no completion");
  assert((await client.embed({ model: REAL, input: "Where?" })).embeddings[0].length > 0, "no vector");
  return [["complete", response]];
});
