// Libraries that reconnect by sending their POST again: node resending_client.mjs LIBRARY URL DIALECT BODY.
// Tells as JSON what was put together in the end, how often it was asked, and the statuses of the answers.
import { fetchEventSource } from "@microsoft/fetch-event-source";
import { createEventSource } from "eventsource-client";

const [, , library, url, dialect, body] = process.argv;
const told = { text: "", ends: 0, statuses: [] };
const headers = {
  "Content-Type": "application/json",
  "Idempotency-Key": crypto.randomUUID(),
};

const wait = globalThis.setTimeout;
globalThis.setTimeout = (call, delay, ...more) =>
  wait(call, Math.min(delay, 5), ...more);

async function counted(input, options) {
  const response = await fetch(input, options);
  told.statuses.push(response.status);
  return response;
}

const readers = {
  lam(data) {
    const event = JSON.parse(data);
    if (event.type === "chunk") told.text += event.content;
    if (event.type === "done" || event.type === "error") told.ends += 1;
  },
  words(data) {
    told.text += JSON.parse(data);
  },
};
// A frame that only carries an id or a retry has no data.
const hear = ({ data }) => data && readers[dialect](data);

if (library === "fetch-event-source") {
  // It is written for browsers.
  globalThis.window = globalThis;
  globalThis.document = { addEventListener() {}, removeEventListener() {} };
  const over = new AbortController();
  await fetchEventSource(url, {
    method: "POST",
    headers,
    body,
    fetch: counted,
    signal: over.signal,
    onmessage: hear,
    async onopen(response) {
      // It knows nothing of 204 and would come back for ever.
      if (response.status === 204) over.abort();
    },
  });
} else {
  const source = createEventSource({
    url,
    method: "POST",
    headers,
    body,
    fetch: counted,
  });
  // It comes back after the end too, and closes itself at a 204.
  for await (const event of source) hear(event);
}
console.log(JSON.stringify(told));
