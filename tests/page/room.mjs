// usage: node room.mjs URL DIRECT_URL SCENARIO [JSON]: is in a room with sluice-client and prints what it saw as JSON.
// URL may lead through a proxy that cuts connections; DIRECT_URL is that of the gateway.
import { Sluice } from "../../gateway/page/sluice-client/index.js";

const [url, directUrl, scenario, given = "{}"] = process.argv.slice(2);
const { count = 0, question = "", ...options } = JSON.parse(given);
const QUICK = { firstMs: 1, mostMs: 20 };
const near = new Sluice({ url, ...(options.key && { key: options.key }) });
const direct = new Sluice({ url: directUrl, ...(options.key && { key: options.key }) });

/** Resolves when somebody is in the room. */
function isIn(room) {
  return new Promise((resolve) => {
    const look = (state) => ["open", "resumed"].includes(state) && resolve();
    room.onstate = look;
    look(room.state);
  });
}

/** Read a room until `isOver` and return what it told, with the texts of its replies. */
async function read(room, isOver) {
  const states = new Set();
  room.onstate = (state) => states.add(state);
  const told = { messages: [], ids: [], reply: "", joins: [], errors: [], states: [] };
  try {
    for await (const event of room) {
      if (event.type === "message:new") {
        told.messages.push(event.content);
        told.ids.push(event.messageId);
        if (event.streamId) told.reply = event.content;
      }
      if (event.type === "reply:start") told.reply = event.content ?? "";
      if (event.type === "reply:chunk") told.reply = told.reply.slice(0, event.position) + event.content;
      if (event.type === "room:join") told.joins.push(event.author.name);
      if (isOver(event, told)) room.close();
    }
  } catch (error) {
    told.errors.push([error.status, error.code]);
  }
  told.states = [...states];
  return told;
}

const scenarios = {
  /** Hear `count` notes, a question and its reply. */
  hear: async () => {
    const { key } = await direct.rooms.create({ title: "Rivers" });
    const speaker = direct.room(key, { as: "ben" });
    const listener = near.room(key, { as: "anna", after: 0, ...QUICK });
    await Promise.all([isIn(speaker), isIn(listener)]);
    let isDone = false;
    const reading = read(listener, (event, { messages }) => {
      isDone ||= event.type === "reply:done" || Boolean(event.streamId && event.type === "message:new");
      return isDone && messages.includes("last");
    });
    const asked = await speaker.say(question, { ask: true });
    for (let number = 0; number < count; number += 1) await speaker.say(`note ${number}`, { ask: false });
    await direct.follow(asked.streamId).finished;
    await speaker.say("last", { ask: false });
    const told = await reading;
    speaker.close();
    return told;
  },
  /** Say `count` notes over a connection that is cut. */
  say: async () => {
    const { key } = await direct.rooms.create({ title: "Rivers" });
    const listener = direct.room(key, { as: "ben" });
    const speaker = near.room(key, { as: "anna", ...QUICK });
    await isIn(listener);
    const reading = read(listener, (_, { messages }) => messages.includes("last"));
    for (let number = 0; number < count; number += 1) await speaker.say(`note ${number}`, { ask: false });
    await speaker.say("last", { ask: false });
    const told = await reading;
    speaker.close();
    return told;
  },
  /** What people do, as the others hear it. */
  people: async () => {
    const { key } = await direct.rooms.create({ title: "Rivers" });
    const anna = direct.room(key, { as: "anna" });
    await isIn(anna);
    const seen = [];
    const heard = (async () => {
      for await (const event of anna) {
        if (event.author?.name === "ben") seen.push(event.type);
        if (event.type === "room:leave") anna.close();
      }
    })();
    const ben = direct.room(key, { as: "ben" });
    await isIn(ben);
    const people = ben.people.map(({ author, status }) => `${author.name} ${status}`);
    const { me } = ben;
    ben.types(true);
    ben.types(true); // told once
    await ben.presence("away");
    await ben.say("Hi", { ask: false });
    ben.close();
    await heard;
    return { me, people, seen, left: anna.people.map(({ author }) => author.name), typing: anna.typing };
  },
  /** A room that is not there, and one that is deleted. */
  refused: async () => {
    const none = await read(direct.room("no-such-room", QUICK), () => false);
    const { key, uuid } = await direct.rooms.create();
    const room = direct.room(key, QUICK);
    await isIn(room);
    await direct.sessions.delete(uuid);
    const gone = await read(room, () => false);
    const said = await room.say("Hi").catch((error) => error.code);
    return { none: none.errors, gone: gone.errors, said, state: room.state };
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
process.exit();
