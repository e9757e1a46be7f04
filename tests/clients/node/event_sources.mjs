// Libraries of Server-Sent Events whose connections are cut by a proxy in the middle of a frame.
import { fetchEventSource } from "@microsoft/fetch-event-source";
import { EventSource } from "eventsource";
import { createEventSource } from "eventsource-client";
import net from "node:net";
import { addCase, assert, SCRIPTED } from "./case.mjs";

const AREA = "/messages/stream";
const CUTS = 40; // of at most 2000 bytes each: fewer than the reply has

// A proxy that cuts its first connections after 500 to 2000 bytes of their answers.
async function cutting(url, work) {
  const { hostname, port } = new URL(url);
  const proxy = { cuts: 0 };
  const server = net.createServer((client) => {
    const gateway = net.connect(port, hostname);
    let room = proxy.cuts < CUTS ? 500 + Math.floor(Math.random() * 1500) : Infinity;
    const close = () => [client, gateway].forEach((socket) => socket.destroy());
    for (const socket of [client, gateway]) socket.on("error", close).on("close", close);
    client.pipe(gateway);
    gateway.on("data", (bytes) => {
      if (bytes.length <= room) {
        room -= bytes.length;
        client.write(bytes);
        return;
      }
      gateway.pause();
      proxy.cuts += 1;
      client.write(bytes.subarray(0, room), close);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  proxy.url = `http://127.0.0.1:${server.address().port}`;
  try {
    return await work(proxy);
  } finally {
    server.close();
  }
}

// Nobody waits long before it comes back while `work` runs.
async function impatiently(work) {
  const wait = globalThis.setTimeout;
  globalThis.setTimeout = (call, delay, ...more) => wait(call, Math.min(delay, 5), ...more);
  try {
    return await work();
  } finally {
    globalThis.setTimeout = wait;
  }
}

// Each reads one stream to its end with `request`, and passes on the data of its events.
const LIBRARIES = {
  async "@microsoft/fetch-event-source"(url, request, hear) {
    // It is written for browsers.
    globalThis.window = globalThis;
    globalThis.document = { addEventListener() {}, removeEventListener() {} };
    const over = new AbortController();
    await fetchEventSource(url, {
      ...request,
      signal: over.signal,
      onmessage: hear,
      async onopen(response) {
        // It knows nothing of 204 and would come back for ever.
        if (response.status === 204) over.abort();
      },
    });
  },
  async "eventsource-client"(url, request, hear) {
    // It comes back after the end too, and closes itself at a 204.
    for await (const event of createEventSource({ url, ...request })) hear(event);
  },
};

for (const [name, read] of Object.entries(LIBRARIES)) {
  for (const [dialect, query] of [["lam", ""], ["words", "?format=words"]]) {
    addCase(name, AREA, `POST sent again after each of ${CUTS} cuts, ${dialect}`, async ({ url, ask }) => {
      const told = { text: "", ends: 0, statuses: new Set() };
      // A frame that only carries an id has no data.
      const hear = ({ data }) => {
        if (!data) return;
        const event = JSON.parse(data);
        if (dialect === "words") told.text += event;
        if (event.type === "chunk") told.text += event.content;
        if (event.type === "done") told.ends += 1;
      };
      const more = dialect === "lam" ? "" : ` as ${dialect}`;
      const { cuts } = await cutting(url, async (proxy) => {
        const request = {
          method: "POST",
          headers: { "content-type": "application/json", "idempotency-key": crypto.randomUUID() },
          body: JSON.stringify({ content: ask("flood", more), model: SCRIPTED }),
          async fetch(input, options) {
            if (proxy.cuts === 1) await ask.go(more);
            const response = await fetch(input, options);
            told.statuses.add(response.status);
            return response;
          },
        };
        await impatiently(() => read(proxy.url + AREA + query, request, hear));
        return proxy;
      });
      assert(cuts === CUTS, `${cuts} cuts`);
      assert(told.ends === (dialect === "lam" ? 1 : 0), `${told.ends} ends`);
      assert([...told.statuses].every((status) => [200, 204].includes(status)), [...told.statuses].join());
      return [["complete", told.text]];
    });
  }
}

addCase("eventsource", AREA, "resume URL of a POST that was cut", async ({ url, ask }) => {
  const response = await fetch(url + AREA, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ content: ask("pause"), model: SCRIPTED, resumable: true }),
  });
  let read = "";
  const decoder = new TextDecoder();
  for await (const bytes of response.body) {
    read += decoder.decode(bytes, { stream: true });
    if (read.includes('"chunk"')) break; // leaving the loop closes the connection
  }
  const metadata = JSON.parse(read.match(/^data: (.*)$/m)[1]);
  const text = await new Promise((resolve) => {
    const source = new EventSource(url + metadata.resume_url);
    let text = "";
    source.onopen = () => ask.go();
    source.onmessage = (message) => {
      const event = JSON.parse(message.data);
      if (event.type === "chunk") text += event.content;
      if (event.type !== "done") return;
      source.close();
      resolve(text);
    };
  });
  return [["complete", text]];
});
