// The package eventsource on a reply that was asked for with POST: node event_source.mjs BASE_URL.
// Prints the text that was read before the connection was cut, that of the EventSource, and the whole one.
import { EventSource } from "eventsource";

const url = process.argv[2];
const response = await fetch(`${url}/messages/stream`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ content: "Tell me about the river.", resumable: true }),
});
let read = "";
const decoder = new TextDecoder();
for await (const bytes of response.body) {
  read += decoder.decode(bytes, { stream: true });
  if (read.includes('"chunk"')) break; // leaving the loop closes the connection
}
const metadata = JSON.parse(read.match(/^data: (.*)$/m)[1]);
const told = await new Promise((resolve) => {
  const source = new EventSource(url + metadata.resume_url);
  let text = "";
  source.onmessage = (message) => {
    const event = JSON.parse(message.data);
    if (event.type === "chunk") text += event.content;
    if (event.type !== "done") return;
    source.close();
    resolve({ text, whole: event.full_content });
  };
});
console.log(JSON.stringify(told));
process.exit(0);
