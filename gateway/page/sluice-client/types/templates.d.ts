/** Templates: named settings for questions. */
export type Template = {
    id: number;
    name: string;
    [setting: string]: any;
};
/** @typedef {{id: number, name: string, [setting: string]: any}} Template */
/** Every method throws SluiceError. */
export declare class Templates {
    #private;
    /** @param {import("./requests.js").Requests} requests */
    constructor(requests: import("./requests.js").Requests);
    /** Return all templates, the oldest first. @returns {Promise<Template[]>} */
    list(): Promise<Template[]>;
    /** @param {{name: string, [setting: string]: unknown}} template @returns {Promise<Template>} */
    create(template: {
        name: string;
        [setting: string]: unknown;
    }): Promise<Template>;
    /** Replace all settings of a template.
     * @param {number} id @param {{name: string, [setting: string]: unknown}} template @returns {Promise<Template>} */
    replace(id: number, template: {
        name: string;
        [setting: string]: unknown;
    }): Promise<Template>;
    /** @param {number} id @returns {Promise<void>} */
    delete(id: number): Promise<void>;
}
