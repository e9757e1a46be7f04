// The same frontends in their own language: fetch, a reader, TextDecoder, JSON.parse.
// Standard input: a JSON list of {url, body, habit}; standard output: what each of them shows, in order.

async function* reads(response) {
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

async function* bufferedLines(response) {
  const decoder = new TextDecoder();
  let buffer = "";
  for await (const value of reads(response)) {
    buffer += decoder.decode(value, { stream: true });
    const lines = buffer.split("\n");
    buffer = lines.pop();
    yield* lines;
  }
}

async function* unbufferedLines(response) {
  for await (const value of reads(response)) {
    yield* new TextDecoder().decode(value).split("\n");
  }
}

const habits = {
  async lunar(response, screen) {
    for await (const line of bufferedLines(response)) {
      if (!line.startsWith("data: ")) continue;
      const data = line.slice(6);
      if (data === "[DONE]") {
        screen.finished = true;
        return;
      }
      const event = JSON.parse(data);
      if (event.type === "token") screen.text += event.content;
      if (event.type === "error") screen.error = event.message;
    }
  },

  async printer(response, screen) {
    let name = "";
    for await (const line of bufferedLines(response)) {
      if (line.startsWith("event: ")) name = line.slice(7).trim();
      if (!line.startsWith("data: ")) continue;
      const event = JSON.parse(line.slice(6));
      if (name === "message") screen.text += event.token;
      if (name === "stream_end") screen.finished = event.status === "complete";
      if (name === "error") screen.error = event.error;
    }
  },

  async words(response, screen) {
    for await (const line of unbufferedLines(response)) {
      if (line.startsWith("data: ")) screen.text = screen.text + JSON.parse(line.substring(6));
    }
    screen.finished = true;
  },

  async text(response, screen) {
    for await (const line of unbufferedLines(response)) {
      if (line.startsWith("data: ")) screen.text += JSON.parse(line.slice(6)).text;
    }
    screen.finished = true;
  },
};

async function show({ url, body, habit }) {
  const screen = { text: "", error: null, finished: false };
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) {
    screen.error = (await response.json()).error;
    return screen;
  }
  await habits[habit](response, screen);
  return screen;
}

let input = "";
for await (const chunk of process.stdin.setEncoding("utf8")) input += chunk;
const screens = [];
for (const job of JSON.parse(input)) screens.push(await show(job));
process.stdout.write(JSON.stringify(screens));
