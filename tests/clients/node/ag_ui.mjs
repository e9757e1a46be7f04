// AG-UI's own package.
import { HttpAgent } from "@ag-ui/client";
import { addCase, assert, raised, REAL, SCRIPTED } from "./case.mjs";

const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ name: "weather", description: "The weather in a city.", parameters }];
const add = (call, run) => addCase("@ag-ui/client", "HttpAgent", call, run);
let count = 0;

function agentOf(url, content, model = SCRIPTED) {
  const threadId = `thread-${Date.now()}-${count++}`;
  const initialMessages = [{ id: "1", role: "user", content }];
  const agent = new HttpAgent({ url: `${url}/api/ag-ui`, threadId, initialMessages });
  const run = (more) => agent.runAgent({ runId: `run-${count++}`, forwardedProps: { model } }, more);
  return { agent, run };
}

add("runAgent", async ({ url, ask }) => {
  const received = [];
  for (const [model, content] of [[REAL, "Tell me about the river."], [SCRIPTED, ask("say")]]) {
    const { agent, run } = agentOf(url, content, model);
    let said = "";
    await run({ onTextMessageContentEvent: ({ event }) => void (said += event.delta) });
    assert(agent.messages.at(-1).content === said, "another text");
    received.push(["complete", said]);
  }
  return received;
});
add("reasoning", async ({ url, ask }) => {
  const { agent, run } = agentOf(url, ask("think"));
  await run();
  assert(agent.messages.some((message) => message.role === "reasoning"), JSON.stringify(agent.messages));
  return [["complete", agent.messages.at(-1).content]];
});
add("tool round", async ({ url, ask }) => {
  const { agent } = agentOf(url, ask("call"));
  const forwardedProps = { model: SCRIPTED };
  await agent.runAgent({ runId: `run-${count++}`, tools, forwardedProps });
  const [call] = agent.messages.at(-1).toolCalls;
  assert(JSON.parse(call.function.arguments).city === "Paris", JSON.stringify(call));
  agent.addMessage({ id: "3", role: "tool", toolCallId: call.id, content: "sunny" });
  await agent.runAgent({ runId: `run-${count++}`, tools, forwardedProps });
  assert(agent.messages.at(-1).content.includes("sunny"), JSON.stringify(agent.messages));
  return [["complete", agent.messages.at(-1).content]];
});
add("stop", async ({ url, ask }) => {
  const { agent, run } = agentOf(url, ask("hold"));
  let said = "";
  const hear = ({ event }) => {
    said += event.delta;
    agent.abortRun();
  };
  await run({ onTextMessageContentEvent: hear }).catch(() => {});
  return [["cancelled", said]];
});
add("errors", async ({ url, ask }) => {
  const refused = await raised(agentOf(url, ask("refuse")).run());
  assert(String(refused).includes("400"), refused);
  let [said, code] = ["", ""];
  await agentOf(url, ask("break")).run({
    onTextMessageContentEvent: ({ event }) => void (said += event.delta),
    onRunErrorEvent: ({ event }) => void (code = event.message),
  });
  assert(code, "no RUN_ERROR");
  return [["failed", said]];
});
