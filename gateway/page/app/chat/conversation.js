/** One conversation: its messages, and the replies that are written now, whoever asked for them. */

import { Changing } from "../changes.js";
import { isForNow, RETRY_MS, sluice } from "../gateway.js";
import { contentOf, editedContent, forget, shownParts } from "./attachments.js";
import { noteEnd, spokenEnd } from "./reply_end.js";
import { SessionEvents } from "./session_events.js";
import { MessageLoads, mend } from "./stored_messages.js";

export class Conversation extends Changing {
  /** @type {import("../../sluice-client/sessions.js").Session | null} */
  session = null;
  /** As the API gives them. While a reply is written or has just ended it has `live`, the reply of the client; a question that
   * was not taken has `refused`, the error. `id` is null until the gateway has stored it. @type {any[]} */
  messages = [];
  loading = false;
  /** @type {Error | null} */
  failure = null;
  /** State of the connection that tells what others do in this session. */
  connection = "";
  /** What a screen reader says. */
  news = "";
  closed = false;
  /** Called when a new session has got its name. @type {(session: string) => void} */
  onsession = () => {};
  /** Called when the list of sessions has something new. @type {() => void} */
  onactivity = () => {};

  #name = /** @type {string | null} */ (null); // of the session, also while it could not be loaded
  #learning = /** @type {Promise<void> | null} */ (null);
  #loads = new MessageLoads(this, (before, stored) => this.#take(before, stored));
  #isLeft = false;
  #retry = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  #events = new SessionEvents({
    heard: (event) => this.#hear(event),
    missed: () => this.#reload(),
    told: (state) => {
      this.connection = state;
      this.changed();
    },
    refused: (error) => {
      this.#trying(() => Promise.reject(error));
      this.onactivity(); // such as a session that somebody has deleted
    },
  });

  /** @param {string | null} session uuid; null: it begins with the first question */
  constructor(session) {
    super();
    this.#name = session;
    if (session !== null) this.#open(session);
  }

  /** The reply that is being written, the latest of them. */
  get live() {
    return this.messages.findLast((message) => message.live) ?? null;
  }

  /** It has members now: a RoomConversation shows it from here on. */
  becomeRoom() {
    if (!this.session) return;
    this.session = { ...this.session, room: true };
    this.close();
    this.changed();
  }

  /** Only read its replies to their end. */
  leave() {
    this.#isLeft = true;
    this.#events.unfollow();
    this.onsession = () => {};
  }

  /** It is shown again. */
  enter() {
    this.#isLeft = false;
    if (this.session) this.#reload();
    this.#follow();
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.#retry);
    this.#events.close();
    for (const { live, refused, files } of this.messages) {
      live?.close();
      if (refused && files) forget(files); // nobody can take it back any more
    }
  }

  /** @param {string} text @param {any[]} files uploads @param {object} settings */
  ask(text, files, settings) {
    const question = { id: null, role: "user", content: text, parts: shownParts(files), files, status: "complete" };
    this.messages.push(question);
    const reply = sluice.ask(contentOf(text, files), { ...settings, session: this.session?.uuid ?? this.#name });
    this.#show(reply, question);
  }

  /** Ask for another reply, or put another question beside the old one.
   * @param {any} message @param {object} settings @param {string} [content] */
  regenerate(message, settings, content) {
    const question = message.role === "user" ? message : this.messages[this.messages.indexOf(message) - 1];
    const at = this.messages.indexOf(question);
    if (at < 0) return;
    const shown = content === undefined ? question : { ...question, id: null, content, files: null };
    const before = this.messages;
    this.messages = [...this.messages.slice(0, at), shown, ...this.messages.filter(({ refused }) => refused)];
    const reply = sluice.regenerate(message.id, content === undefined ? settings : { ...settings, content: editedContent(question, content) });
    this.#show(reply, shown, before);
  }

  /** Go on with the last reply, which was cut off. @param {any} message @param {object} settings */
  goOn(message, settings) {
    Object.assign(message, { status: "streaming", error: null, reason: null, usage: null, askedAt: performance.now(), firstAt: undefined });
    this.#read(sluice.continueReply(message, settings), message, null);
  }

  /** @param {number} messageId */
  async choose(messageId) {
    await this.#trying(async () => {
      this.session = await sluice.choose(messageId);
      this.#loads.forget();
      await this.#refresh();
    });
  }

  /** Do it, unless a reply is being written. @param {() => void} work */
  atRest(work) {
    if (!this.live) return work();
    this.news = "Wait until the reply is complete, or stop it.";
    this.changed();
  }

  stop() {
    if (this.live) this.#trying(() => this.live.live.stop());
  }

  /** Take a refused question out of the list and return its text and files. @param {any} question */
  takeBack(question) {
    this.messages = this.messages.filter((message) => message !== question);
    this.changed();
    return { text: question.content, files: question.files ?? [] };
  }

  /** @param {string} uuid */
  async #open(uuid) {
    if (this.closed) return;
    this.loading = true;
    await this.#trying(async () => {
      this.session ??= await sluice.sessions.get(uuid);
      if (this.session.room) this.close();
      else await this.#refresh();
    });
    this.loading = false;
    this.changed();
    if (isForNow(this.failure)) setTimeout(() => this.#open(uuid), RETRY_MS);
    else this.#follow();
  }

  #follow() {
    if (this.session && !this.#isLeft && !this.closed) this.#events.follow(this.session.uuid);
  }

  /** @param {any} event of the session */
  #hear(event) {
    const { stream_id: stream, message_id: message } = event;
    const known = this.messages.some((one) => (stream ? [one.live?.streamId, one.stream_id].includes(stream) : one.id === message));
    if (event.type === "branch_chosen") this.#loads.forget();
    if (this.messages.some(({ live, id }) => live && id === null)) this.#reloadLater(); // it may be of the question that is being sent
    else if (!known || event.type === "branch_chosen") this.#reload();
    this.onactivity();
  }

  /** Load the messages, until the gateway gives them. */
  async #reload() {
    clearTimeout(this.#retry);
    await this.#trying(() => this.#refresh());
    if (isForNow(this.failure)) this.#reloadLater();
  }

  #reloadLater() {
    clearTimeout(this.#retry);
    if (!this.closed) this.#retry = setTimeout(() => this.#reload(), RETRY_MS);
  }

  async #refresh() {
    if (this.session) await this.#loads.load(this.session.uuid);
  }

  /** Show these messages; replies that are written here stay as they are.
   * @param {any[]} before those that stay @param {any[]} stored those behind them */
  #take(before, stored) {
    const ids = new Set(stored.map(({ id }) => id));
    // What was asked meanwhile is not among them: its end loads them again.
    if (this.closed || this.messages.some((message) => message.live && !ids.has(message.id))) return;
    const shownById = new Map(this.messages.map((message) => [message.id, message]));
    const refused = this.messages.filter((message) => message.refused);
    const behind = stored.map((message) => {
      const shown = shownById.get(message.id);
      if (!shown) return message;
      const news = shown.live ? { siblings: message.siblings, sibling_index: message.sibling_index } : message;
      if (mend(shown, shown.files ? { ...news, files: null } : news)) this.#touch(shown);
      return shown;
    });
    this.messages = [...before, ...behind, ...refused];
    for (const message of behind) {
      if (message.status === "streaming" && !message.live) this.#read(sluice.follow(message.stream_id), message, null);
    }
    this.#loads.areWhole(this.messages);
  }

  /** @param {any} reply @param {any} question @param {any[]} [before] messages to show again if it is refused */
  #show(reply, question, before) {
    const answer = { id: null, role: "assistant", content: "", reasoning: "", tool_calls: [], status: "streaming", askedAt: performance.now(), before };
    this.messages.splice(this.messages.indexOf(question) + 1, 0, answer);
    this.#read(reply, answer, question);
  }

  /** Draw this message again. @param {any[]} messages */
  #touch(...messages) {
    for (const message of messages) message.version = (message.version ?? 0) + 1;
    this.changed();
  }

  /** @param {any} reply @param {any} answer @param {any} question null: somebody else's */
  async #read(reply, answer, question) {
    answer.live = reply;
    this.#loads.changes(answer);
    reply.onstate = () => this.#touch(answer);
    this.news = "";
    this.#touch(answer);
    for await (const event of reply) {
      if (event.type === "metadata") this.#begun(event, answer, question);
      else if (event.type === "progress") answer.progress = event;
      else if (event.type === "tool_call") answer.tool_calls = [...answer.tool_calls, event];
      else if (event.type === "done" || event.type === "error") this.#ended(event, answer, question);
      if (event.type === "chunk" || event.type === "reasoning") answer.firstAt ??= performance.now();
      answer.content = reply.text;
      answer.reasoning = reply.reasoning;
      this.#touch(answer);
    }
    answer.live = null;
    this.news = spokenEnd(answer);
    this.#touch(answer);
    if (!this.session && this.#name !== null) await this.#learnSession();
    this.onactivity();
    if (this.#isLeft && !this.live) this.close();
    if (answer.refused || !this.session || this.closed) return;
    if (answer.error?.status === undefined) this.#reload();
    else this.#reloadLater(); // it could not be read: asked at once, the gateway would refuse it again
  }

  /** @param {any} event @param {any} answer @param {any} question */
  #begun(event, answer, question) {
    Object.assign(answer, { id: event.assistant_message_id, stream_id: event.stream_id, mode: event.mode, delivery: event.delivery });
    if (question) {
      question.id = event.user_message_id;
      if (question.files) forget(question.files);
      this.#touch(question);
    }
    if (!this.failure) clearTimeout(this.#retry); // its end loads the rest
    this.#name ??= event.session_id;
    if (!this.session) this.#learnSession();
  }

  #learnSession() {
    this.#learning ??= this.#learn().finally(() => (this.#learning = null));
    return this.#learning;
  }

  async #learn() {
    this.session = await sluice.sessions.get(/** @type {string} */ (this.#name)).catch(() => null);
    if (!this.session || this.closed) return;
    this.onsession(this.session.uuid);
    this.onactivity(); // its events would tell too, but it may be left before they come
    this.#follow();
  }

  /** @param {any} event @param {any} answer @param {any} question */
  #ended(event, answer, question) {
    noteEnd(answer, event);
    if (event.type === "error" && answer.id === null && question) { // refused: nothing was stored
      answer.refused = event;
      this.messages = answer.before ?? this.messages.filter((message) => message !== answer && message !== question);
      if (question.id === null) this.messages = [...this.messages, Object.assign(question, { refused: event })];
      else this.failure = new Error(event.message);
      this.#touch(question);
    }
  }

  /** Do it, and show its failure, or no longer one from before it. @param {() => Promise<unknown>} work */
  async #trying(work) {
    const before = this.failure;
    try {
      await work();
      if (this.failure === before) this.failure = null;
    } catch (error) {
      if (!this.closed) this.failure = /** @type {Error} */ (error);
    }
    this.changed();
  }
}
