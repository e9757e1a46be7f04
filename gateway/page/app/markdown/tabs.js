/** Tabs at the beginning of lines of code in lists: the parser would make spaces of them, with which Makefiles fail. */

const KEPT = "\uFDD0"; // no text has it
const FENCE = /^([ \t>]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*)(`{3,}|~{3,})(.*)$/;

/** Return the Markdown with other characters for these tabs. @param {string} text */
export function withoutTabs(text) {
  if (!/^[ \t>]*[ >]\t|^\t\t/m.test(text)) return text;
  let indent = "";
  let fence = ""; // of the code that the line is in
  const lines = text.split("\n").map((line) => {
    const [, before = "", sign = "", after = ""] = FENCE.exec(line) ?? [];
    if (!fence) {
      indent = before.replace(/[^\t>]/g, " ");
      fence = sign;
    } else if (sign.startsWith(fence) && !after.trim()) fence = "";
    else if (indent && line.startsWith(indent)) {
      return indent + line.slice(indent.length).replace(/^\t+/, (tabs) => KEPT.repeat(tabs.length));
    }
    return line;
  });
  return lines.join("\n");
}

/** @param {string} text with the other characters */
export function withTabs(text) {
  return text.replaceAll(KEPT, "\t");
}
