/** Files that are uploaded once and named in messages. */
export type Attachment = {
    id: string;
    name: string;
    media_type: string;
    size: number;
    created_at: string;
};
/** @typedef {{id: string, name: string, media_type: string, size: number, created_at: string}} Attachment */
/** Every method throws SluiceError. */
export declare class Attachments {
    #private;
    /** @param {import("./requests.js").Requests} requests */
    constructor(requests: import("./requests.js").Requests);
    /** Upload an image (PNG, JPEG, GIF, WebP, BMP), sound (WAV, MP3) or text in UTF-8. Its kind is found by its content.
     * A message names it as the part `{type: "attachment", attachment: {id}}`, and keeps a copy.
     * @param {Blob} file
     * @param {string} name
     * @param {AbortSignal} [signal]
     * @returns {Promise<Attachment>} */
    upload(file: Blob, name: string, signal?: AbortSignal): Promise<Attachment>;
    /** @returns {Promise<Attachment[]>} the latest first */
    list(): Promise<Attachment[]>;
    /** @param {string} id @returns {Promise<void>} */
    delete(id: string): Promise<void>;
}
