// The AI SDK's providers: OpenAI's by its default (Responses) and with chat completions, the compatible one,
// and Anthropic's.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai-7";
import { addCase, assert, raised, REAL, SCRIPTED } from "./case.mjs";

const inputSchema = jsonSchema({
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
});
const tools = {
  weather: tool({ inputSchema, execute: ({ city }) => (city === "Paris" ? "sunny" : "unknown") }),
};
const pixel =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

const openai = (url) => createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const compatible = (url) => createOpenAICompatible({ name: "sluice", baseURL: `${url}/v1` });
const anthropic = (url) => createAnthropic({ baseURL: `${url}/v1`, apiKey: "none" });
// shows: it shows reasoning.
const providers = [
  { client: "@ai-sdk/openai", area: "default (Responses)", provider: openai, shows: true },
  { client: "@ai-sdk/openai", area: "chat completions", provider: (url) => openai(url).chat },
  { client: "@ai-sdk/openai-compatible", area: "chat completions", provider: compatible, shows: true },
  { client: "@ai-sdk/anthropic", area: "Messages", provider: anthropic, shows: true },
];

for (const { client, area, provider, shows } of providers) {
  const add = (call, run) => addCase(client, area, call, run);
  const to = (url, more) => ({ model: provider(url)(SCRIPTED), maxRetries: 0, ...more });

  add("generateText", async ({ url }) => {
    const prompt = "Tell me about the river.";
    const { text, finishReason } = await generateText({ model: provider(url)(REAL), prompt });
    assert(finishReason === "stop", finishReason);
    return [["complete", text]];
  });
  add("streamText", async ({ url, ask }) => {
    const result = streamText(to(url, { prompt: ask("think") }));
    let text = "";
    for await (const piece of result.textStream) text += piece;
    assert(!shows || (await result.reasoningText), "no reasoning");
    return [["complete", text]];
  });
  add("tool round", async ({ url, ask }) => {
    const asked = to(url, { tools, stopWhen: stepCountIs(3) });
    const { text } = await generateText({ ...asked, prompt: ask("call") });
    assert(text.includes("sunny"), text);
    return [["complete", text]];
  });
  add("tool round, streamed", async ({ url, ask }) => {
    const result = streamText(to(url, { tools, stopWhen: stepCountIs(3), prompt: ask("call") }));
    const text = await result.text;
    assert(text.includes("sunny"), text);
    return [["complete", text]];
  });
  add("image", async ({ url, ask }) => {
    const file = { type: "file", data: pixel, mediaType: "image/png" };
    const messages = [{ role: "user", content: [{ type: "text", text: ask("look") }, file] }];
    const { text } = await generateText(to(url, { messages }));
    assert(text.includes("1 image"), text);
    return [["complete", text]];
  });
  add("stop", async ({ url, ask }) => {
    const abort = new AbortController();
    const result = streamText(to(url, { prompt: ask("hold"), abortSignal: abort.signal }));
    let text = "";
    for await (const part of result.fullStream) {
      if (part.type === "text-delta") {
        text += part.text;
        abort.abort();
      }
    }
    return [["cancelled", text]];
  });
  add("errors", async ({ url, ask }) => {
    const refused = await raised(generateText(to(url, { prompt: ask("refuse") })));
    assert(refused.statusCode === 400, refused);
    const failed = await raised(generateText(to(url, { prompt: ask("fail") })));
    assert(failed.statusCode >= 500, failed);
    let [text, error] = ["", null];
    const result = streamText(to(url, { prompt: ask("break"), onError() {} }));
    for await (const part of result.fullStream) {
      if (part.type === "text-delta") text += part.text;
      if (part.type === "error") error = part.error;
    }
    assert(error, "no error");
    return [["failed", text]];
  });
}
