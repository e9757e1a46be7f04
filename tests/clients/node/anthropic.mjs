// Anthropic's own package.
import Anthropic from "@anthropic-ai/sdk";
import { addCase, assert, raised, REAL, SCRIPTED } from "./case.mjs";

const input_schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather = { name: "weather", description: "The weather in a city.", input_schema };
const messagesOf = (url) => new Anthropic({ baseURL: url, apiKey: "none", maxRetries: 0 }).messages;
const asked = (content, more) => ({
  model: SCRIPTED,
  max_tokens: 2000,
  messages: [{ role: "user", content }],
  ...more,
});
const add = (call, run) => addCase("@anthropic-ai/sdk", "Messages", call, run);

add("whole", async ({ url }) => {
  const answer = await messagesOf(url).create(asked("Tell me about the river.", { model: REAL }));
  assert(answer.stop_reason === "end_turn", answer.stop_reason);
  return [["complete", answer.content[0].text]];
});
add("stream helper", async ({ url, ask }) => {
  const events = messagesOf(url).stream(asked(ask("think")));
  let said = "";
  events.on("text", (text) => (said += text));
  const { content } = await events.finalMessage();
  assert(content[0].thinking && content[1].text === said, JSON.stringify(content));
  return [["complete", said]];
});
add("tool round, streamed", async ({ url, ask }) => {
  const question = asked(ask("call"), { tools: [weather] });
  const first = await messagesOf(url).stream(question).finalMessage();
  const call = first.content.find((block) => block.type === "tool_use");
  assert(first.stop_reason === "tool_use" && call.input.city === "Paris", JSON.stringify(call));
  const result = { type: "tool_result", tool_use_id: call.id, content: "sunny" };
  question.messages.push({ role: "assistant", content: first.content }, { role: "user", content: [result] });
  const second = await messagesOf(url).stream(question).finalMessage();
  assert(second.content[0].text.includes("sunny"), second.content[0].text);
  return [["complete", second.content[0].text]];
});
add("tool runner", async ({ url, ask }) => {
  const run = ({ city }) => (city === "Paris" ? "sunny" : "unknown");
  const tools = [{ type: "custom", ...weather, run, parse: (input) => input }];
  const { beta } = new Anthropic({ baseURL: url, apiKey: "none", maxRetries: 0 });
  const final = await beta.messages.toolRunner({ ...asked(ask("call")), tools });
  assert(final.content[0].text.includes("sunny"), final.content[0].text);
  return [["complete", final.content[0].text]];
});
add("count_tokens", async ({ url }) => {
  const messages = [{ role: "user", content: "Tell me about the river." }];
  assert((await messagesOf(url).countTokens({ model: REAL, messages })).input_tokens > 5, "too few");
  return [];
});
add("stop", async ({ url, ask }) => {
  for await (const event of await messagesOf(url).create(asked(ask("hold"), { stream: true }))) {
    if (event.type === "content_block_delta") return [["cancelled", event.delta.text]];
  }
});
add("errors", async ({ url, ask }) => {
  for (const [command, kind] of [["refuse", "BadRequestError"], ["fail", "InternalServerError"]]) {
    for (const stream of [false, true]) {
      const error = await raised(messagesOf(url).create(asked(ask(command), { stream })));
      assert(error.constructor.name === kind, error);
    }
  }
  let said = "";
  const events = messagesOf(url).stream(asked(ask("break")));
  events.on("text", (text) => (said += text));
  assert((await raised(events.finalMessage())) instanceof Anthropic.APIError, "another error");
  return [["failed", said]];
});
