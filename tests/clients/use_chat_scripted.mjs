// Pages of three AI SDK versions against a gateway whose model follows a script: node use_chat_scripted.mjs BASE_URL.
// The model calls a tool for "Weather?", says "Hel" and then nothing for "Endless", and else answers at once.
import { VERSIONS, openPage, ready, speaks, stored, textOf, version } from "./ai_sdk_page.mjs";

const url = process.argv[2];

async function tools(packages, id) {
  const page = openPage(url, packages, id, {
    sendAutomaticallyWhen: packages.ai.lastAssistantMessageIsCompleteWithToolCalls,
    onToolCall: ({ toolCall: { toolName: tool, toolCallId } }) => {
      page.chat.addToolOutput({ tool, toolCallId, output: { sky: "grey" } });
    },
  });
  await page.until(ready(0));
  page.chat.sendMessage({ text: "Weather?" });
  await page.until((page) => page.status() === "ready" && page.shown()[1]);
  await page.chat.sendMessage({ text: "Thanks" });
  await page.until(ready(4));
  return { shown: page.shown(), stored: (await stored(url, id)).map(textOf), failed: page.failed };
}

// The reply runs until the second load of the page stops it.
async function reloaded(packages, id) {
  let page = openPage(url, packages, id);
  await page.until(ready(0));
  page.chat.sendMessage({ text: "Endless" }).catch(() => {});
  await page.until(speaks(1));
  page.leave();
  const messages = await stored(url, id);
  page = openPage(url, packages, id, { messages, resume: true });
  await page.until(speaks(1));
  await fetch(`${url}/api/chat/${id}/stop`, { method: "POST" });
  await page.until(ready(2));
  const told = (await stored(url, id)).map(textOf);
  return { loaded: messages.length, shown: page.shown(), stored: told, failed: page.failed };
}

const told = {};
for (const name of VERSIONS) {
  const packages = await version(name);
  told[name] = {
    tools: await tools(packages, `${name}-tools`),
    reloaded: await reloaded(packages, `${name}-reloaded`),
  };
}
console.log(JSON.stringify(told));
process.exit(0);
