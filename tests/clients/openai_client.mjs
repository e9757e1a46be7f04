// OpenAI's own Node package against one gateway: node openai_client.mjs BASE_URL. Tells what it saw as JSON.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0 });
const ask = {
  model: "tiny",
  messages: [{ role: "user", content: "Tell me about the river." }],
};

async function whole() {
  const { data, response } = await client.chat.completions
    .create(ask)
    .withResponse();
  return {
    id: response.headers.get("sluice-stream-id"),
    content: data.choices[0].message.content,
    usage: data.usage,
  };
}

async function streamed() {
  const stream = await client.chat.completions.create({
    ...ask,
    stream: true,
    stream_options: { include_usage: true },
  });
  const told = { content: "", roles: [], finish: [], usage: null };
  for await (const chunk of stream) {
    for (const choice of chunk.choices) {
      told.content += choice.delta.content ?? "";
      if (choice.delta.role) told.roles.push(choice.delta.role);
      if (choice.finish_reason) told.finish.push(choice.finish_reason);
    }
    told.usage = chunk.usage ?? told.usage;
  }
  return told;
}

async function helped() {
  const runner = client.chat.completions.stream(ask);
  let deltas = "";
  runner.on("content", (delta) => (deltas += delta));
  const final = await runner.finalChatCompletion();
  return { deltas, content: final.choices[0].message.content };
}

async function aborted() {
  const stream = await client.chat.completions.create({
    ...ask,
    max_tokens: 1500,
    ignore_eos: true,
    stream: true,
  });
  for await (const chunk of stream) {
    if (chunk.choices[0].delta.content) break;
  }
  return { aborted: stream.controller.signal.aborted };
}

async function refused() {
  try {
    await client.chat.completions.create({ ...ask, n: 2 });
  } catch (error) {
    return {
      kind: error.constructor.name,
      status: error.status,
      param: error.param,
    };
  }
}

const told = {
  whole: await whole(),
  streamed: await streamed(),
  helped: await helped(),
  aborted: await aborted(),
  refused: await refused(),
  models: (await client.models.list()).data.map((model) => model.id),
};
console.log(JSON.stringify(told));
