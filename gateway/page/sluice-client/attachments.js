/** Files that are uploaded once and named in messages. */

/** @typedef {{id: string, name: string, media_type: string, size: number, created_at: string}} Attachment */

/** Every method throws SluiceError. */
export class Attachments {
  #requests;

  /** @param {import("./requests.js").Requests} requests */
  constructor(requests) {
    this.#requests = requests;
  }

  /** Upload an image (PNG, JPEG, GIF, WebP, BMP), sound (WAV, MP3) or text in UTF-8. Its kind is found by its content.
   * A message names it as the part `{type: "attachment", attachment: {id}}`, and keeps a copy.
   * @param {Blob} file
   * @param {string} name
   * @param {AbortSignal} [signal]
   * @returns {Promise<Attachment>} */
  async upload(file, name, signal) {
    const body = { name, data: base64(new Uint8Array(await file.arrayBuffer())) };
    return this.#requests.json("POST", "/api/chatbot/attachments", signal ? { body, signal } : { body });
  }

  /** @returns {Promise<Attachment[]>} the latest first */
  list() {
    return this.#requests.json("GET", "/api/chatbot/attachments");
  }

  /** @param {string} id @returns {Promise<void>} */
  delete(id) {
    return this.#requests.json("DELETE", `/api/chatbot/attachments/${encodeURIComponent(id)}`);
  }
}

const PIECE = 3 * 8192;

/** @param {Uint8Array} bytes @returns {string} */
function base64(bytes) {
  let text = "";
  for (let start = 0; start < bytes.length; start += PIECE) {
    text += btoa(String.fromCharCode(...bytes.subarray(start, start + PIECE)));
  }
  return text;
}
