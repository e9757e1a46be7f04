/** Files of the next question: uploaded when they are chosen, named in the question, deleted when it has its copy. */

import { Changing } from "../changes.js";
import { MOST_FILE_BYTES, sluice } from "../gateway.js";
import { fileNameOf, sizeOf } from "../words.js";

const IMAGE = /^image\/(png|jpeg|gif|webp|bmp)$/;

const SHOWN_MS = 600_000;

/** Uploads at the same time: the gateway reads few large bodies of a user at once, and refuses one that waits for long. */
const AT_ONCE = 4;

/** id: set once it is uploaded. url: of an image, for a preview. @typedef {{name: string, id: string | null, url: string | null}} File_ */

export class Attachments extends Changing {
  /** @type {File_[]} */
  files = [];
  problem = "";

  get uploading() {
    return this.files.some(({ id }) => id === null);
  }

  /** @param {Iterable<File>} chosen */
  async add(chosen) {
    this.problem = "";
    const waiting = [...chosen].filter((each) => this.#fits(each)).map((each) => ({ chosen: each, file: this.#show(each) }));
    const uploadAll = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) await this.#upload(next.chosen, next.file);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, uploadAll));
  }

  /** @param {File_} file */
  remove(file) {
    this.files = this.files.filter((other) => other !== file);
    if (file.id) forget([file]);
    this.changed();
  }

  /** Return the files, and begin anew. */
  take() {
    const { files } = this;
    this.files = [];
    this.problem = "";
    this.changed();
    return files;
  }

  /** @param {File_[]} files */
  putBack(files) {
    this.files = [...files, ...this.files];
    this.changed();
  }

  /** @param {File} chosen */
  #fits(chosen) {
    if (chosen.size <= MOST_FILE_BYTES) return true;
    this.#refuse(chosen, `has ${sizeOf(chosen.size)}; a file may have at most ${sizeOf(MOST_FILE_BYTES)}.`);
    this.changed();
    return false;
  }

  /** @param {File} chosen @param {string} why */
  #refuse({ name }, why) {
    this.problem = [this.problem, `${fileNameOf(name)}: ${why}`].filter(Boolean).join("\n");
  }

  /** @param {File} chosen @returns {File_} */
  #show(chosen) {
    const file = { name: chosen.name, id: /** @type {string | null} */ (null), url: IMAGE.test(chosen.type) ? URL.createObjectURL(chosen) : null };
    this.files = [...this.files, file];
    this.changed();
    return file;
  }

  /** @param {File} chosen @param {File_} file */
  async #upload(chosen, file) {
    if (!this.files.includes(file)) return forget([file]);
    try {
      const { id, media_type: kind } = await sluice.attachments.upload(chosen, chosen.name);
      file.id = id;
      file.url = IMAGE.test(kind) ? (file.url ?? URL.createObjectURL(chosen)) : null; // the browser goes by the name, the gateway by the content
      if (!this.files.includes(file)) forget([file]);
    } catch (error) {
      this.files = this.files.filter((other) => other !== file);
      this.#refuse(chosen, /** @type {any} */ (error).errors?.[0]?.message ?? /** @type {Error} */ (error).message);
    }
    this.changed();
  }
}

/** Return the question's content. @param {string} text @param {File_[]} files @returns {any} */
export function contentOf(text, files) {
  if (!files.length) return text;
  const parts = files.map(({ id }) => ({ type: "attachment", attachment: { id } }));
  return text ? [{ type: "text", text }, ...parts] : parts;
}

/** Return the content of a question whose text was changed; it keeps its files. @param {any} question @param {string} text @returns {any} */
export function editedContent({ parts }, text) {
  const kept = (parts ?? []).filter((/** @type {any} */ part) => part.type !== "text");
  return kept.length ? [{ type: "text", text }, ...kept] : text;
}

/** Return parts as they are shown until the gateway has given its own. @param {File_[]} files @returns {any[]} */
export function shownParts(files) {
  return files.map(({ name, url }) => (url ? { type: "image_url", image_url: { url } } : { type: "file", file: { filename: name } }));
}

/** Delete uploads: a message keeps its own copy. @param {File_[]} files */
export function forget(files) {
  for (const { id, url } of files) {
    if (id) sluice.attachments.delete(id).catch(() => {});
    if (url) setTimeout(() => URL.revokeObjectURL(url), SHOWN_MS);
  }
}
