/** Templates: named settings for questions. */

/** @typedef {{id: number, name: string, [setting: string]: any}} Template */

/** Every method throws SluiceError. */
export class Templates {
  #requests;

  /** @param {import("./requests.js").Requests} requests */
  constructor(requests) {
    this.#requests = requests;
  }

  /** Return all templates, the oldest first. @returns {Promise<Template[]>} */
  async list() {
    /** @type {Template[]} */
    const templates = [];
    while (true) {
      const page = await this.#requests.json("GET", `/api/chatbot/templates?limit=200&after=${templates.at(-1)?.id ?? 0}`);
      if (!page.length) return templates; // a page of large ones has fewer than `limit`
      templates.push(...page);
    }
  }

  /** @param {{name: string, [setting: string]: unknown}} template @returns {Promise<Template>} */
  create(template) {
    return this.#requests.json("POST", "/api/chatbot/templates", { body: template });
  }

  /** Replace all settings of a template.
   * @param {number} id @param {{name: string, [setting: string]: unknown}} template @returns {Promise<Template>} */
  replace(id, template) {
    return this.#requests.json("PUT", `/api/chatbot/templates/${id}`, { body: template });
  }

  /** @param {number} id @returns {Promise<void>} */
  delete(id) {
    return this.#requests.json("DELETE", `/api/chatbot/templates/${id}`);
  }
}
