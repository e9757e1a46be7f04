// node meet.mjs URL ROOM: two people meet in the room, over each wire; prints what each of them heard, as JSON.
import { io } from "socket.io-client";
import WebSocket from "ws";

const [url, room] = process.argv.slice(2);
const ws = url.replace("http", "ws");

// A member: call(name, data) gives the answer, next(...names) the next event with one of these names.
class Member {
  #heard = [];
  #waiting;

  hear(name, data) {
    this.#heard.push({ name, data });
    this.#waiting?.();
  }

  async next(...names) {
    for (;;) {
      while (this.#heard.length) {
        const { name, data } = this.#heard.shift();
        if (names.includes(name)) return { name, data };
      }
      await new Promise((resolve) => (this.#waiting = resolve));
    }
  }

  // The text of the next reply, from its start to its end.
  async reply() {
    const began = (await this.next("reply:start")).data;
    let text = began.content;
    for (;;) {
      const { name, data } = await this.next("reply:chunk", "reply:done", "reply:error");
      if (name !== "reply:chunk") {
        if (data.length !== [...text].length) throw new Error(`${data.length} code points, not ${[...text].length}`);
        return text;
      }
      if (data.position !== [...text].length) throw new Error(`a chunk at ${data.position}`);
      text += data.content;
    }
  }
}

function socketIo(address, options = {}) {
  return async (userId) => {
    const socket = io(address, { forceNew: true, auth: { userId }, ...options });
    const member = new Member();
    socket.onAny((name, data) => member.hear(name, data));
    member.call = (name, data) => socket.timeout(30_000).emitWithAck(name, data);
    member.close = () => socket.disconnect();
    member.transport = () => socket.io.engine.transport.name;
    await new Promise((resolve, reject) => {
      socket.on("connect", resolve);
      socket.on("connect_error", reject);
    });
    // An upgrade would otherwise happen at some time during the talk.
    const { engine } = socket.io;
    if (!options.transports && engine.transport.name === "polling")
      await new Promise((resolve) => engine.once("upgrade", resolve));
    return member;
  };
}

function plain(Socket) {
  return async (userId) => {
    const socket = new Socket(`${ws}/ws`);
    const member = new Member();
    const answers = new Map();
    socket.onmessage = ({ data: text }) => {
      const { event, data, ack } = JSON.parse(text);
      if (event === "ack") answers.get(ack)(data);
      else member.hear(event, data);
    };
    member.call = (event, data) =>
      new Promise((resolve) => {
        const ack = answers.size;
        answers.set(ack, resolve);
        socket.send(JSON.stringify({ event, data, ack }));
      });
    member.close = () => socket.close();
    member.transport = () => "websocket";
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    await member.call("auth", { userId });
    return member;
  };
}

const wires = {
  "socket.io, websocket": socketIo(ws, { transports: ["websocket"] }),
  "socket.io, polling": socketIo(url, { transports: ["polling"] }),
  "socket.io, upgraded": socketIo(url),
  "socket.io, namespace /ws": socketIo(`${ws}/ws`),
  "socket.io, path /ws": socketIo(ws, { path: "/ws" }),
  ws: plain(WebSocket),
  "WebSocket of Node": plain(globalThis.WebSocket),
};

async function meet(come) {
  const anna = await come("anna");
  const ben = await come("ben");
  const joined = [await anna.call("room:join", { roomId: room }), await ben.call("room:join", { roomId: room })];
  const came = await anna.next("room:join");
  await ben.call("typing:start", {});
  const typing = await anna.next("typing:start");
  const sent = await ben.call("message:send", { content: "Hello 🙂", ask: true });
  const heard = [];
  for (const member of [anna, ben]) {
    const { data } = await member.next("message:new");
    heard.push([data.userId, data.content, data.messageId === sent.messageId, await member.reply()]);
  }
  const nobodys = await ben.call("room:join", { roomId: "nobodys" });
  const transport = ben.transport();
  ben.close();
  const left = await anna.next("room:leave");
  anna.close();
  return {
    people: joined.map(({ people }) => people.map(({ userId }) => userId).sort()),
    seen: [came, typing, left].map(({ name, data }) => [name, data.userId, data.roomId === room]),
    heard,
    nobodys: nobodys.error.code,
    transport,
  };
}

const told = {};
for (const [wire, come] of Object.entries(wires)) told[wire] = await meet(come);
process.stdout.write(JSON.stringify(told), () => process.exit(0));
