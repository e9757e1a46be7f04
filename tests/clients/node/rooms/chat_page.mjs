// node chat_page.mjs URL: the sockets of chat pages, as one that exists writes them. Commands come as lines of JSON,
// and each event goes out as one: {"client", "event", "data"}.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const [url] = process.argv.slice(2);
const clients = {};

const tell = (client, event, data) => process.stdout.write(`${JSON.stringify({ client, event, data })}\n`);

function createWebSocketClient({ url, ...options }) {
  return io(url, options);
}

function open(client, roomId) {
  const socket = createWebSocketClient({
    url: `${url.replace("http", "ws")}/ws`,
    reconnection: true,
    reconnectionAttempts: Infinity,
    reconnectionDelay: 1000,
    reconnectionDelayMax: 5000,
    timeout: 20000,
    autoConnect: true,
    auth: { token: "of-another-service", userId: client },
  });
  socket.on("connect", () => {
    socket.emit("room:join", { roomId }, () => tell(client, "joined"));
  });
  for (const event of [
    "disconnect",
    "error",
    "message:new",
    "room:join",
    "room:leave",
    "presence:update",
    "typing:start",
    "typing:stop",
  ])
    socket.on(event, (data) => tell(client, event, data));
  clients[client] = { socket, roomId };
}

// Asks over the page's own stream, in the dialect of OpenAI, and tells the room about the whole reply.
async function ask(client, content) {
  const { socket, roomId } = clients[client];
  const response = await fetch(`${url}/api/v1/inference/stream`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content }], stream: true }),
  });
  let buffer = "";
  let id;
  let text = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    const frames = (buffer + piece).split("\n\n");
    buffer = frames.pop();
    for (const frame of frames) {
      const lines = frame.split("\n");
      const data = lines.find((line) => line.startsWith("data: "))?.slice(6);
      if (!data || data === "[DONE]" || lines.includes("event: progress")) continue;
      const chunk = JSON.parse(data);
      id = chunk.id;
      text += chunk.choices[0]?.delta?.content ?? "";
    }
  }
  const message = { id, role: "assistant", content: text, timestamp: Date.now() };
  socket.emit("message:broadcast", { roomId, message });
  tell(client, "asked", message);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { client, open: roomId, emit, ask: content } = JSON.parse(line);
  if (roomId) open(client, roomId);
  else if (emit) clients[client].socket.emit(...emit);
  else await ask(client, content);
}
process.exit(0);
