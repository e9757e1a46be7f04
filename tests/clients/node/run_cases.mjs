// node run_cases.mjs MODE=URL... MODULE...: runs the modules' cases against each gateway, prints results as JSON.
import { cases, SCRIPTED } from "./case.mjs";

const CASE_MS = 60_000;

async function result({ client, area, call, run }, mode, url) {
  const told = { client, area, call, mode };
  const ask = (command, more = "") => `${command} ${client}, ${area}, ${call}${more}`;
  ask.go = async (more) => {
    const response = await fetch(`${url}/messages/stream?format=plain`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ content: ask("go", more), model: SCRIPTED }),
    });
    if (!response.ok) throw new Error(await response.text());
    await response.text();
  };
  const late = AbortSignal.timeout(CASE_MS);
  const given_up = new Promise((_, reject) => (late.onabort = () => reject(late.reason)));
  try {
    return { ...told, received: await Promise.race([run({ url, ask }), given_up]) };
  } catch (error) {
    console.error(call, mode, error);
    const said = error.status ? `HTTP ${error.status}` : String(error).split("\n")[0].replaceAll("|", "/");
    return { ...told, failed: said.slice(0, 80) };
  }
}

const words = process.argv.slice(2);
for (const module of words.filter((word) => !word.includes("="))) await import(`./${module}`);
const results = [];
for (const [mode, url] of words.filter((word) => word.includes("=")).map((word) => word.split("="))) {
  for (const one of cases) results.push(await result(one, mode, url));
}
// Some packages keep connections open. Before all is written an exit would lose the rest.
process.stdout.write(JSON.stringify(results), () => process.exit(0));
