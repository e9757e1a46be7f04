/** Reads Server-Sent Events from bytes, as they arrive. */

/**
 * @typedef {object} Frame
 * @property {string} event the event's name; "message" if the stream gives none
 * @property {string} data its `data` lines, joined by line feeds; never empty
 */

const LINE_END = /\r\n|\n|\r/g;

/** Parses one response. A frame that is cut off is dropped, as the specification says. */
export class EventStreamParser {
  /** The id of the last whole frame.
   * @type {string | null} */
  lastEventId = null;

  /** How long the server asks to wait before the next request, in milliseconds.
   * @type {number | null} */
  retryMs = null;

  #decoder = new TextDecoder();
  #rest = "";
  #afterReturn = false;
  #event = "";
  #id = /** @type {string | null} */ (null);
  #data = /** @type {string[]} */ ([]);

  /** Return the frames that these bytes complete.
   * @param {Uint8Array} bytes
   * @returns {Frame[]} */
  push(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (this.#afterReturn && text.startsWith("\n")) text = text.slice(1);
    if (text) this.#afterReturn = text.endsWith("\r");
    text = this.#rest + text;
    /** @type {Frame[]} */
    const frames = [];
    let start = 0;
    for (const end of text.matchAll(LINE_END)) {
      this.#takeLine(text.slice(start, end.index), frames);
      start = end.index + end[0].length;
    }
    this.#rest = text.slice(start);
    return frames;
  }

  /** @param {string} line @param {Frame[]} frames */
  #takeLine(line, frames) {
    if (line === "") return this.#endFrame(frames);
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment, such as ": ping"
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
  }

  /** @param {Frame[]} frames */
  #endFrame(frames) {
    if (this.#id !== null) this.lastEventId = this.#id;
    const data = this.#data.join("\n");
    if (data !== "") frames.push({ event: this.#event || "message", data });
    this.#event = "";
    this.#data = [];
  }
}
