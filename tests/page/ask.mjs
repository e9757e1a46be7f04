// usage: node ask.mjs URL SCENARIO [JSON]: does one thing with sluice-client and prints what it saw as JSON.
import { Sluice, SluiceError } from "../../gateway/page/sluice-client/index.js";

const [url, scenario, given = "{}"] = process.argv.slice(2);
const options = JSON.parse(given);
const QUICK = { firstMs: 1, mostMs: 20 };
const sluice = new Sluice({ url, ...(options.key && { key: options.key }) });

/** Read a reply to its end and return what a page would show. */
async function read(reply, onEvent = () => {}) {
  const states = [reply.state];
  reply.onstate = (state) => states.push(state);
  const kinds = [];
  let joined = "";
  let reasoning = "";
  let last = null;
  for await (const event of reply) {
    if (event.type !== kinds.at(-1)) kinds.push(event.type);
    if (event.type === "chunk") joined += event.content;
    if (event.type === "reasoning") reasoning += event.content;
    last = event;
    await onEvent(event);
  }
  const finished = await reply.finished;
  return { states, kinds, joined, text: reply.text, reasoning, last, same: finished === last || finished?.type === last?.type };
}

const scenarios = {
  ask: () => read(sluice.ask(options.content, { ...QUICK, ...options.settings })),
  stop: () => {
    const reply = sluice.ask(options.content, QUICK);
    let stopped = null;
    return read(reply, async (event) => {
      if (event.type === "chunk" && !stopped) stopped = reply.stop();
    }).finally(() => stopped);
  },
  stopBefore: async () => {
    const reply = sluice.ask(options.content, QUICK);
    const stopped = reply.stop();
    const seen = await read(reply);
    await stopped;
    return seen;
  },
  abort: () => {
    const stopper = new AbortController();
    return read(sluice.ask(options.content, { ...QUICK, signal: stopper.signal }), (event) => {
      if (event.type === "chunk") stopper.abort();
    });
  },
  close: async () => {
    const reply = sluice.ask(options.content, QUICK);
    return read(reply, (event) => event.type === "chunk" && reply.close());
  },
  follow: async () => {
    const first = sluice.ask(options.content, QUICK);
    await first.finished;
    return read(sluice.follow(first.streamId, QUICK));
  },
  impatient: () => read(sluice.ask(options.content, { ...QUICK, patienceS: 0 })),
  sessions: async () => {
    const made = await sluice.sessions.create("Rivers");
    await sluice.ask("first", { session: made.uuid, ...QUICK }).finished;
    const renamed = await sluice.sessions.rename(made.id, "Lakes </script>");
    const listed = await sluice.sessions.list({ q: "Lakes" });
    const messages = await sluice.sessions.messages(made.key);
    const markdown = await (await sluice.sessions.export(made.id, "md")).text();
    await sluice.sessions.delete(made.id);
    const gone = await sluice.sessions.get(made.id).catch((error) => error);
    const lost = await sluice.sessions.export(made.id, "md").catch((error) => error.status);
    return {
      lost,
      title: renamed.title,
      listed: listed.map((session) => session.id === made.id),
      roles: messages.map((message) => message.role),
      markdown,
      gone: [gone instanceof SluiceError, gone.status, gone.code],
    };
  },
  watch: async () => {
    const made = await sluice.sessions.create();
    const live = sluice.sessions.follow(made.id, QUICK);
    const kinds = [];
    let asked = null;
    live.onstate = (state) => {
      if (state === "open") asked = sluice.ask("first", { session: made.id, ...QUICK });
    };
    for await (const event of live) {
      kinds.push(event.type);
      if (event.type === "reply_ended") live.close();
    }
    await asked.finished;
    return { kinds, state: live.state };
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
