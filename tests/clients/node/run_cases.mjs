// node run_cases.mjs MODE=URL... MODULE...: runs the modules' cases against each gateway, prints results as JSON.
import { cases } from "./case.mjs";

async function result({ client, area, call, run }, mode, url) {
  const told = { client, area, call, mode };
  const ask = (command, more = "") => `${command} ${client}, ${area}, ${call}${more}`;
  try {
    return { ...told, received: await run({ url, ask }) };
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
console.log(JSON.stringify(results));
process.exit(0); // some packages keep connections open
