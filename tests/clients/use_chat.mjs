// Pages of three AI SDK versions against one gateway: node use_chat.mjs BASE_URL.
// Sends, regenerates, stops, loads again in the middle. Prints after each step what the page shows and what is stored.
import { VERSIONS, openPage, ready, speaks, stored, textOf, version } from "./ai_sdk_page.mjs";

const url = process.argv[2];

async function talk(name) {
  const packages = await version(name);
  const id = `${name}-${Date.now()}`;
  const steps = {};
  const note = async (step) => {
    steps[step] = { shown: page.shown(), stored: (await stored(url, id)).map(textOf) };
  };
  let page = openPage(url, packages, id);
  await page.until(ready(0));
  await page.chat.sendMessage({ text: "Tell me about the river." });
  await page.until(ready(2));
  await note("sent");

  await page.chat.regenerate();
  await page.until(ready(2));
  await note("regenerated");

  const stopping = page.chat.sendMessage({ text: "Tell me about the boat." });
  await page.until(speaks(3));
  await fetch(`${url}/api/chat/${id}/stop`, { method: "POST" });
  await stopping;
  await page.until(ready(4));
  await note("stopped");

  page.chat.sendMessage({ text: "Tell me about the mill." }).catch(() => {});
  await page.until(speaks(5));
  page.leave();
  page = openPage(url, packages, id, { messages: await stored(url, id), resume: true });
  await page.until(ready(6));
  await note("resumed");
  return { ...steps, failed: page.failed };
}

const told = {};
for (const name of VERSIONS) told[name] = await talk(name);
console.log(JSON.stringify(told));
process.exit(0);
