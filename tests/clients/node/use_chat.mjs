// Pages with useChat of six AI SDK versions, rendered by React into jsdom.
import { VERSIONS, openPage, ready, speaks, stored, textOf, version } from "./ai_sdk_page.mjs";
import { addCase, assert } from "./case.mjs";

const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather = { name: "weather", description: "The weather in a city.", parameters: schema };
const TOOLS = { tools: [{ type: "function", function: weather }] };

const same = (left, right) =>
  assert(JSON.stringify(left) === JSON.stringify(right), JSON.stringify([left, right]));

for (const name of VERSIONS) {
  const packages = await version(name);
  const add = (call, run) => addCase(name, `useChat of \`ai\` ${packages.ai_version}`, call, run);

  // A page on a new chat, and what is stored of the chat.
  async function opened(url, options = {}) {
    const id = `${name}-${crypto.randomUUID()}`;
    const page = openPage(url, packages, id, options);
    await page.until(ready(0));
    return { id, page, texts: async () => (await stored(url, id)).map(textOf) };
  }
  const stop = (url, id) => fetch(`${url}/api/chat/${id}/stop`, { method: "POST" });

  async function closed({ page, texts }, status) {
    same(page.shown(), await texts());
    same(page.failed, []);
    const told = page.shown().at(-1);
    page.leave();
    return [[status, told]];
  }

  add("send; regenerate", async ({ url, ask }) => {
    const chat = await opened(url);
    const { page } = chat;
    await page.chat.sendMessage({ text: ask("say") });
    await page.until(ready(2));
    same(page.shown(), await chat.texts());
    const first = page.chat.messages[1].id;
    await page.chat.regenerate();
    await page.until(ready(2));
    assert(page.chat.messages[1].id !== first, "the same answer");
    return closed(chat, "complete");
  });

  add("stop", async ({ url, ask }) => {
    const chat = await opened(url);
    const { page, id } = chat;
    const sent = page.chat.sendMessage({ text: ask("hold") });
    await page.until(speaks(1));
    await stop(url, id);
    await sent;
    await page.until(ready(2));
    return closed(chat, "cancelled");
  });

  add("resume after a reload", async ({ url, ask }) => {
    const { page, id } = await opened(url);
    page.chat.sendMessage({ text: ask("pause") }).catch(() => {});
    await page.until(speaks(1));
    page.leave();
    const messages = await stored(url, id);
    assert(messages.length === 1, "the running reply was loaded, too");
    const again = openPage(url, packages, id, { messages, resume: true });
    await again.until(speaks(1));
    await ask.go();
    await again.until(ready(2));
    const texts = async () => (await stored(url, id)).map(textOf);
    return closed({ page: again, texts }, "complete");
  });

  add("tool round", async ({ url, ask }) => {
    const chat = await opened(url, {
      body: TOOLS,
      sendAutomaticallyWhen: packages.ai.lastAssistantMessageIsCompleteWithToolCalls,
      onToolCall: ({ toolCall: { toolName: tool, toolCallId } }) => {
        page.chat.addToolOutput({ tool, toolCallId, output: "sunny" });
      },
    });
    const { page } = chat;
    page.chat.sendMessage({ text: ask("call") });
    await page.until((page) => page.status() === "ready" && page.shown()[1]);
    assert(page.shown()[1].includes("sunny"), page.shown()[1]);
    const told = page.shown().at(-1);
    await page.chat.sendMessage({ text: ask("say", " thanks") });
    await page.until(ready(4));
    return [["complete", told], ...(await closed(chat, "complete"))];
  });
}
