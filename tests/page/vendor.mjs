// Renews gateway/page/vendor from the packages that package-lock.json pins: node tests/page/vendor.mjs
// Writes each library as one minified ES module, and vendor.json with versions, licences and hashes.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import subsetFont from "subset-font";

const HERE = import.meta.dirname;
const TARGET = join(HERE, "../../gateway/page/vendor");
const LANGUAGES =
  "bash c cpp csharp css diff dockerfile go graphql ini java javascript json kotlin lua makefile markdown php python ruby rust sql swift typescript xml yaml".split(" ");

/** Return the characters from `first` to `last`. */
const from = (first, last) => Array.from({ length: last - first + 1 }, (_, at) => String.fromCodePoint(first + at)).join("");

/** Characters of formulas: the font has 4,600 more. */
const SIGNS = [
  from(0x20, 0x7e), // ASCII
  "\u00a0¨¬¯°´·×÷ˆˇ˘˙˚˜",
  from(0x391, 0x3f6), // Greek
  `${from(0x2010, 0x2014)}‖…′″‴⁄${from(0x20d0, 0x20d7)}`, // dashes, primes, arrows above
  "ℂℍℕℙℚℝℤℏℑℜℓ℘ℵℎℱℒℋℐℬℳℇ",
  `${from(0x2190, 0x21a9)}${from(0x21cc, 0x21d5)}${from(0x27f5, 0x27fc)}`, // arrows
  `${from(0x2200, 0x22a5)}${from(0x22c0, 0x22c8)}${from(0x22ee, 0x22f1)}${from(0x2a00, 0x2a06)}⩽⩾`, // operators
  `${from(0x2308, 0x230b)}${from(0x239b, 0x23b4)}${from(0x23dc, 0x23e1)}${from(0x27e6, 0x27eb)}`, // brackets and their pieces
  "□■△▽◯",
  `${from(0x1d400, 0x1d467)}${from(0x1d538, 0x1d56b)}${from(0x1d6a4, 0x1d6a5)}${from(0x1d6e2, 0x1d71b)}`, // letters of formulas
].join("");

/** Files by name: the source of the module, or the file that is copied and how it is changed; the packages that are in it; its use. */
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
  "temml.css": {
    copy: "temml/dist/Temml-Local.css",
    change: (css) =>
      `@font-face { font-family: "STIX Two Math"; src: url("stix-two-math.woff2") format("woff2"); font-display: block; }\n` +
      css.toString().replaceAll("Temml.woff2", "temml.woff2").replace(`"Cambria Math", 'STIXTwoMath-Regular', 'NotoSansMath-Regular', math`, `"STIX Two Math", math`),
    packages: ["temml"],
    use: "maths as MathML",
  },
  "temml.woff2": { copy: "temml/dist/Temml.woff2", packages: ["temml"], use: "script letters in maths" },
  "stix-two-math.woff2": {
    copy: "@fontsource/stix-two-math/files/stix-two-math-latin-400-normal.woff2",
    change: (font) => subsetFont(font, SIGNS, { targetFormat: "woff2", noHinting: true }),
    packages: ["@fontsource/stix-two-math"],
    use: "maths: roots and brackets that grow, a subset",
  },
  "uplot.js": { source: `export { default } from "uplot";`, packages: ["uplot"], use: "charts" },
  "uplot.css": { copy: "uplot/dist/uPlot.min.css", packages: ["uplot"], use: "charts" },
};

const about = (name) => JSON.parse(readFileSync(join(HERE, "node_modules", name, "package.json"), "utf8"));
const listed = [];
for (const [name, { source, copy, change, packages, use }] of Object.entries(FILES)) {
  let bytes;
  if (copy) {
    bytes = readFileSync(join(HERE, "node_modules", copy));
    if (change) bytes = Buffer.from(await change(bytes));
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
  if (license) writeFileSync(join(TARGET, `LICENSE.${name.split("/").at(-1)}.txt`), readFileSync(license));
  else console.error(`${name} has no licence file`);
}
writeFileSync(join(TARGET, "vendor.json"), `${JSON.stringify(listed, null, 2)}\n`);
