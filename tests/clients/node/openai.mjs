// OpenAI's own package: chat completions in two versions, Responses in the newest.
import { addCase, assert, raised, REAL, SCRIPTED } from "./case.mjs";

const RIVER = "Tell me about the river.";
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const chatTool = { type: "function", function: { name: "weather", parameters, strict: true } };
const responsesTool = { type: "function", name: "weather", parameters, strict: true };

for (const name of ["openai", "openai-7"]) {
  const { default: OpenAI } = await import(name);
  const client = (url) => new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  const add = (call, run) => addCase(name, "chat completions", call, run);
  const user = (content) => [{ role: "user", content }];

  add("whole", async ({ url }) => {
    const answer = await client(url).chat.completions.create({ model: REAL, messages: user(RIVER) });
    assert(answer.choices[0].finish_reason === "stop", "finish_reason");
    return [["complete", answer.choices[0].message.content]];
  });
  add("stream", async ({ url }) => {
    const stream_options = { include_usage: true };
    const asked = { model: REAL, messages: user(RIVER), stream: true, stream_options };
    let [text, usage] = ["", null];
    for await (const chunk of await client(url).chat.completions.create(asked)) {
      for (const choice of chunk.choices) text += choice.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    assert(usage.completion_tokens > 0, "no usage");
    return [["complete", text]];
  });
  add("stream helper", async ({ url, ask }) => {
    const events = client(url).chat.completions.stream({ model: SCRIPTED, messages: user(ask("say")) });
    let said = "";
    events.on("content", (piece) => (said += piece));
    const final = await events.finalChatCompletion();
    assert(final.choices[0].message.content === said, "another text");
    return [["complete", said]];
  });
  add("tool runner", async ({ url, ask }) => {
    const run = (args) => (JSON.parse(args).city === "Paris" ? "sunny" : "unknown");
    const tool = { ...chatTool, function: { ...chatTool.function, function: run } };
    const asked = { model: SCRIPTED, messages: user(ask("call")), tools: [tool] };
    const whole = await client(url).chat.completions.runTools(asked).finalContent();
    const streamed = await client(url).chat.completions.runTools({ ...asked, stream: true }).finalContent();
    assert(whole.includes("sunny") && whole === streamed, whole);
    return [["complete", whole]];
  });
  add("stop", async ({ url, ask }) => {
    const asked = { model: SCRIPTED, messages: user(ask("hold")), stream: true };
    for await (const chunk of await client(url).chat.completions.create(asked)) {
      if (chunk.choices[0].delta.content) return [["cancelled", chunk.choices[0].delta.content]];
    }
  });
  add("error before the first token", async ({ url, ask }) => {
    for (const stream of [false, true]) {
      for (const [command, kind] of [["refuse", "BadRequestError"], ["fail", "InternalServerError"]]) {
        const asked = { model: SCRIPTED, messages: user(ask(command)), stream };
        const error = await raised(client(url).chat.completions.create(asked));
        assert(error.constructor.name === kind, error);
      }
    }
    return [["failed", ""]];
  });
  add("error after it", async ({ url, ask }) => {
    let text = "";
    const hear = async () => {
      const asked = { model: SCRIPTED, messages: user(ask("break")), stream: true };
      for await (const chunk of await client(url).chat.completions.create(asked)) {
        text += chunk.choices[0].delta.content ?? "";
      }
    };
    assert((await raised(hear())) instanceof OpenAI.APIError, "another error");
    return [["failed", text]];
  });
}

const { default: OpenAI } = await import("openai-7");
const responses = (url) => new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 }).responses;
const add = (call, run) => addCase("openai-7", "Responses", call, run);

add("create", async ({ url }) => {
  const answer = await responses(url).create({ model: REAL, input: RIVER });
  const again = await responses(url).retrieve(answer.id);
  assert(again.output_text === answer.output_text, "another text");
  return [["complete", answer.output_text]];
});
add("stream helper", async ({ url, ask }) => {
  const events = responses(url).stream({ model: SCRIPTED, input: ask("think") });
  let said = "";
  events.on("response.output_text.delta", (event) => (said += event.delta));
  const final = await events.finalResponse();
  assert(final.output[0].type === "reasoning", "no reasoning");
  return [["complete", said]];
});
add("tool round, streamed", async ({ url, ask }) => {
  const asked = { model: SCRIPTED, input: [{ role: "user", content: ask("call") }], tools: [responsesTool] };
  const first = await responses(url).stream(asked).finalResponse();
  const call = first.output.find((item) => item.type === "function_call");
  assert(JSON.parse(call.arguments).city === "Paris", call.arguments);
  const output = { type: "function_call_output", call_id: call.call_id, output: "sunny" };
  const second = await responses(url)
    .stream({ ...asked, input: [output], previous_response_id: first.id })
    .finalResponse();
  assert(second.output_text.includes("sunny"), second.output_text);
  return [["complete", second.output_text]];
});
add("background; resume by starting_after; cancel", async ({ url, ask }) => {
  const asked = { model: SCRIPTED, background: true, stream: true };
  let [text, at, id] = ["", 0, ""];
  for await (const event of await responses(url).create({ ...asked, input: ask("say") })) {
    at = event.sequence_number;
    if (event.type === "response.created") id = event.response.id;
    if (event.type === "response.output_text.delta") {
      text += event.delta;
      break;
    }
  }
  for await (const event of await responses(url).retrieve(id, { stream: true, starting_after: at })) {
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  let held = "";
  for await (const event of await responses(url).create({ ...asked, input: ask("hold") })) {
    if (event.type === "response.created") id = event.response.id;
    if (event.type === "response.output_text.delta") {
      held += event.delta;
      assert((await responses(url).cancel(id)).status === "cancelled", "not cancelled");
    }
  }
  return [["complete", text], ["cancelled", held]];
});
add("errors", async ({ url, ask }) => {
  for (const [command, kind] of [["refuse", "BadRequestError"], ["fail", "InternalServerError"]]) {
    for (const stream of [false, true]) {
      const error = await raised(responses(url).create({ model: SCRIPTED, input: ask(command), stream }));
      assert(error.constructor.name === kind, error);
    }
  }
  const texts = [];
  const broken = async () => {
    for await (const event of await responses(url).create({ model: SCRIPTED, input: ask("break"), stream: true })) {
      if (event.type === "response.output_text.delta") texts.push(event.delta);
    }
  };
  assert((await raised(broken())).message);
  return [["failed", texts.join("")]];
});
