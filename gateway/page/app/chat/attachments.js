/** Files that the visitor adds to a question, as content parts. */

const MOST_BYTES = 20 * 1024 ** 2;
const TEXT = /^text\/|json|xml|yaml|javascript|csv|markdown|toml/;
const TEXT_NAME = /\.(md|txt|csv|json|ya?ml|toml|py|js|ts|c|h|cpp|rs|go|java|rb|sh|sql|html|css|xml|log|ini|conf)$/i;
/** @type {Record<string, string>} */
const SOUND = { "audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3" };

/** @typedef {{name: string, size: number, part: any}} Attachment */

/** Read a file. Throws an Error that says why it cannot be attached.
 * @param {File} file @returns {Promise<Attachment>} */
export async function attachmentOf(file) {
  if (file.size > MOST_BYTES) throw new Error(`${file.name} is larger than 20 MB.`);
  if (file.size === 0) throw new Error(`${file.name} is empty.`);
  const named = { name: file.name, size: file.size };
  if (/^image\/(png|jpeg|gif|webp|bmp)$/.test(file.type)) {
    return { ...named, part: { type: "image_url", image_url: { url: await dataUrl(file, file.type) } } };
  }
  const format = SOUND[file.type];
  if (format) {
    const data = (await dataUrl(file, file.type)).split(",", 2)[1];
    return { ...named, part: { type: "input_audio", input_audio: { data, format } } };
  }
  if (TEXT.test(file.type) || TEXT_NAME.test(file.name)) {
    return { ...named, part: { type: "file", file: { filename: file.name, file_data: await dataUrl(file, "text/plain") } } };
  }
  throw new Error(`${file.name} is no image, no WAV or MP3, and no text.`);
}

/** @param {File} file @param {string} type @returns {Promise<string>} */
function dataUrl(file, type) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(/** @type {string} */ (reader.result));
    reader.onerror = () => reject(new Error(`${file.name} cannot be read.`));
    reader.readAsDataURL(new Blob([file], { type }));
  });
}
