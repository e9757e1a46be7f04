// usage: node odd_answers.mjs SCENARIO: gives sluice-client answers that a gateway does not give, and prints what it makes of them.
import { getEventListeners } from "node:events";
import { retryNow, Sluice, SluiceError } from "../../gateway/page/sluice-client/index.js";

const [scenario] = process.argv.slice(2);
const QUICK = { firstMs: 1, mostMs: 5 };
const STREAM = { headers: { "Content-Type": "text/event-stream", "Sluice-Stream-Id": "one" } };
const HOUR_MS = 3_600_000;
const event = (data) => `data: ${JSON.stringify(data)}\n\n`;
const WHOLE = event({ type: "metadata", stream_id: "one" }) + event({ type: "done", full_content: "all" });
const lost = () => Promise.reject(new TypeError("fetch failed"));

/** Answers the requests in turn, the last one also all later ones. */
function answering(...answers) {
  const asked = [];
  const fetch = (_, request) => {
    asked.push(request);
    return Promise.resolve().then(answers[Math.min(asked.length, answers.length) - 1]);
  };
  return { sluice: new Sluice({ url: "http://gateway.example", fetch }), asked };
}

/** Return the kind of the error. */
async function errorOf(work) {
  try {
    await work();
  } catch (error) {
    return error instanceof SluiceError ? `${error.status} ${error.code}` : String(error);
  }
  return "none";
}

const cutOff = () =>
  new Response(
    new ReadableStream({
      start: (body) => {
        body.enqueue(new TextEncoder().encode('{"id": '));
        body.error(new TypeError("terminated"));
      },
    }),
  );

const scenarios = {
  errors: async () => {
    const page = () => new Response("<html>Log in to the network</html>");
    return {
      page: await errorOf(() => answering(page).sluice.sessions.get(1)),
      cutOff: await errorOf(() => answering(cutOff).sluice.sessions.get(1)),
      exported: await errorOf(() => answering(lost).sluice.sessions.export(1, "md")),
      exportCutOff: await errorOf(() => answering(cutOff).sluice.sessions.export(1, "md")),
      simulated: await errorOf(() => answering(lost).sluice.admin.simulate("device").next()),
    };
  },
  abortedBefore: async () => {
    const { sluice, asked } = answering(() => new Response(WHOLE, STREAM));
    const reply = sluice.ask("Hi", { ...QUICK, signal: AbortSignal.abort() });
    return { last: await reply.finished, asked: asked.length };
  },
  listeners: async () => {
    const { signal } = new AbortController();
    const { sluice } = answering(() => new Response(WHOLE, STREAM));
    const reply = sluice.ask("Hi", { ...QUICK, signal });
    await reply.finished;
    return { text: reply.text, listeners: getEventListeners(signal, "abort").length };
  },
  longPause: async () => {
    const warned = [];
    process.on("warning", ({ name }) => warned.push(name));
    const much = () => new Response("", { status: 429, headers: { "Retry-After": "3000000" } });
    const { sluice, asked } = answering(() => new Response(event({ type: "metadata", stream_id: "one" }), STREAM), much);
    const reply = sluice.ask("Hi", QUICK);
    while (asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve, 50)); // in which a pause that overflows ends many times
    reply.close();
    await reply.finished;
    return { warned, asked: asked.length };
  },
  lostThenProxy: async () => {
    const down = () => new Response("<html>502 Bad Gateway</html>", { status: 502 });
    const { sluice, asked } = answering(lost, down, () => new Response(WHOLE, STREAM));
    const last = await sluice.ask("Hi", QUICK).finished;
    const keys = new Set(asked.map(({ headers }) => headers["Idempotency-Key"]));
    return { last: last.type, text: last.full_content, keys: keys.size };
  },
  askedForMore: async () => {
    const begun = () => new Response(event({ type: "metadata", stream_id: "one" }), STREAM);
    const later = () => new Response("", { status: 503, headers: { "Retry-After": "3600" } });
    const { sluice, asked } = answering(begun, later);
    const last = await sluice.ask("Hi", { ...QUICK, patienceS: 0.2 }).finished;
    return { last: last.type, status: last.status, asked: asked.length };
  },
  triedAgainNow: async () => {
    const begun = () => new Response(event({ type: "metadata", stream_id: "one" }), STREAM);
    const later = () => new Response("", { status: 503, headers: { "Retry-After": "3600" } });
    const { sluice } = answering(begun, later, () => new Response(WHOLE, STREAM));
    const reply = sluice.ask("Hi", QUICK);
    reply.onstate = (state) => state === "waiting" && setTimeout(retryNow);
    return { last: (await reply.finished).type };
  },
  resumedInSilence: async () => {
    const begun = () => new Response(event({ type: "metadata", stream_id: "one" }), STREAM);
    const state = await new Promise((resolve) => {
      const pull = () => {
        resolve(reply.state);
        reply.close();
      };
      const silent = () => new Response(new ReadableStream({ pull }, { highWaterMark: 0 }), STREAM);
      const reply = answering(begun, silent).sluice.ask("Hi", QUICK);
    });
    return { state };
  },
  slept: async () => {
    const begun = () => new Response(event({ type: "metadata", stream_id: "one" }), STREAM);
    const asleep = { pause: 0, request: 0 };
    const wakes = () => {
      asleep.request = HOUR_MS; // while the request was on its way
      return lost();
    };
    const { sluice } = answering(begun, wakes, lost, () => new Response(WHOLE, STREAM));
    const clocks = [
      [Date, Date.now],
      [performance, performance.now.bind(performance)],
    ];
    for (const [clock, now] of clocks) clock.now = () => now() + asleep.pause + asleep.request;
    const reply = sluice.ask("Hi", { ...QUICK, patienceS: 100 });
    reply.onstate = (state) => {
      if (state === "waiting") queueMicrotask(() => (asleep.pause += HOUR_MS)); // while it pauses
    };
    return { last: (await reply.finished).type };
  },
  unreadyFirst: async () => {
    const unready = () => new Response("", { status: 503 });
    const gone = () => new Response("", { status: 404 });
    const followed = answering(unready, () => new Response(WHOLE, STREAM)).sluice.follow("one", QUICK);
    const { sluice, asked } = answering(unready, unready, gone);
    const live = sluice.sessions.follow(1, QUICK);
    return { followed: (await followed.finished).type, live: await errorOf(() => live[Symbol.asyncIterator]().next()), asked: asked.length };
  },
  stoppedUnasked: async () => {
    const { sluice, asked } = answering(lost);
    const waiting = sluice.ask("Hi", { ...QUICK, firstMs: HOUR_MS, mostMs: HOUR_MS });
    waiting.onstate = (state) => state === "waiting" && setTimeout(() => waiting.stop());
    const first = await waiting.finished;
    const sending = sluice.ask("Hi", QUICK);
    const [last] = await Promise.all([sending.finished, sending.stop()]);
    return { first: first.type, last: last.type, message: last.message, asked: asked.length };
  },
  proxyFirst: async () => {
    const { sluice, asked } = answering(() => new Response("<html>502 Bad Gateway</html>", { status: 502 }));
    const last = await sluice.ask("Hi", QUICK).finished;
    return { last: last.type, status: last.status, asked: asked.length };
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
