// Renews gateway/page/vendor from the packages that package-lock.json pins: node tests/page/vendor.mjs
// Writes each library as one minified ES module, and vendor.json with versions, licences and hashes.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const HERE = import.meta.dirname;
const TARGET = join(HERE, "../../gateway/page/vendor");
const LANGUAGES =
  "bash c cpp csharp css diff dockerfile go graphql ini java javascript json kotlin lua makefile markdown php python ruby rust sql swift typescript xml yaml".split(" ");

/** Files by name: the source of the module, or the file that is copied; the packages that are in it; its use. */
const FILES = {
  "preact.js": {
    source: `export * from "preact"; export * from "preact/hooks"; import { h } from "preact"; import htm from "htm"; export const html = htm.bind(h);`,
    packages: ["preact", "htm"],
    use: "views",
  },
  "marked.js": { source: `export { Marked } from "marked";`, packages: ["marked"], use: "Markdown" },
  "purify.js": { source: `export { default } from "dompurify";`, packages: ["dompurify"], use: "sanitises every HTML that is made from text" },
  "highlight.js": {
    source: `import hljs from "highlight.js/lib/core";
${LANGUAGES.map((name) => `import ${name}_ from "highlight.js/lib/languages/${name}"; hljs.registerLanguage("${name}", ${name}_);`).join("\n")}
export default hljs;`,
    packages: ["highlight.js"],
    use: `colours code: ${LANGUAGES.join(", ")}`,
  },
  "temml.js": { source: `export { default } from "temml";`, packages: ["temml"], use: "maths as MathML" },
  "temml.css": { copy: "temml/dist/Temml-Local.css", packages: ["temml"], use: "maths as MathML" },
  "temml.woff2": { copy: "temml/dist/Temml.woff2", packages: ["temml"], use: "script letters in maths" },
  "uplot.js": { source: `export { default } from "uplot";`, packages: ["uplot"], use: "charts" },
  "uplot.css": { copy: "uplot/dist/uPlot.min.css", packages: ["uplot"], use: "charts" },
};

const about = (name) => JSON.parse(readFileSync(join(HERE, "node_modules", name, "package.json"), "utf8"));
const listed = [];
for (const [name, { source, copy, packages, use }] of Object.entries(FILES)) {
  let bytes;
  if (copy) {
    bytes = readFileSync(join(HERE, "node_modules", copy));
    if (name === "temml.css") bytes = Buffer.from(bytes.toString().replaceAll("Temml.woff2", "temml.woff2"));
  } else {
    const made = await build({
      stdin: { contents: source, resolveDir: HERE },
      bundle: true,
      minify: true,
      format: "esm",
      target: "es2022",
      charset: "utf8",
      legalComments: "none",
      write: false,
    });
    bytes = made.outputFiles[0].contents;
  }
  writeFileSync(join(TARGET, name), bytes);
  listed.push({
    file: name,
    use,
    packages: packages.map((name) => ({ name, version: about(name).version, license: about(name).license })),
    sha256: createHash("sha256").update(bytes).digest("hex"),
  });
}
for (const name of new Set(Object.values(FILES).flatMap((file) => file.packages))) {
  const license = ["LICENSE", "LICENSE.txt", "LICENSE.md", "LICENSE-MIT"].map((file) => join(HERE, "node_modules", name, file)).find((file) => {
    try {
      return readFileSync(file);
    } catch {
      return false;
    }
  });
  if (license) writeFileSync(join(TARGET, `LICENSE.${name}.txt`), readFileSync(license));
  else console.error(`${name} has no licence file`);
}
writeFileSync(join(TARGET, "vendor.json"), `${JSON.stringify(listed, null, 2)}\n`);
