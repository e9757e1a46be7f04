/** The conversation in a room: everybody's messages and the model's replies, as the room tells them. */

import { randomKey } from "../../sluice-client/random_key.js";
import { Changing } from "../changes.js";
import { contentOf, forget, shownParts } from "../chat/attachments.js";
import { mend, storedMessages } from "../chat/stored_messages.js";
import { isForNow, RETRY_MS, sluice } from "../gateway.js";
import { ownName } from "./own_name.js";
import { isSame, nameOf } from "./people.js";

const SPOKEN_CHARS = 300;
/** @typedef {import("../../sluice-client/rooms.js").Author} Author */

export class RoomConversation extends Changing {
  isRoom = true;
  /** @type {any[]} */
  messages = [];
  loading = true;
  /** Why it is not shown, or is shown no more. @type {Error | null} */
  failure = null;
  /** State of the connection to the room. */
  connection = "connecting";
  /** @type {import("../../sluice-client/rooms.js").Member[]} */
  members = [];
  /** What a screen reader says: the latest that happened. */
  news = "";
  /** Called when the list of sessions has something new. @type {() => void} */
  onactivity = () => {};

  #room = /** @type {import("../../sluice-client/room.js").Room | null} */ (null);
  #entering;
  #closed = false;

  /** @param {import("../../sluice-client/sessions.js").Session} session */
  constructor(session) {
    super();
    this.session = session;
    this.#entering = this.#open();
  }

  get people() {
    return this.#room?.people ?? [];
  }

  /** The others who type. */
  get typing() {
    return (this.#room?.typing ?? []).filter((one) => !isSame(one, this.me));
  }

  /** @returns {Author | null} */
  get me() {
    return this.#room?.me ?? null;
  }

  /** "owner", "member", "watcher"; empty while it is not known. */
  get role() {
    if (!this.me) return "";
    return this.members.find((member) => isSame(member, this.me))?.role ?? "owner"; // without keys everybody is the owner
  }

  get live() {
    return this.messages.findLast((message) => message.live) ?? null;
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#room?.close();
    for (const { refused, files } of this.messages) if (refused) forget(files); // nobody can take it back any more
  }

  /** Enter again under another name. @param {string} name */
  async rename(name) {
    if ((await ownName.get()) === (await ownName.set(name))) return;
    await this.#entering;
    const left = this.#room;
    this.#room = null;
    left?.close();
    this.#entering = this.#enter();
  }

  /** @param {string} text @param {any[]} files uploads @param {() => boolean} asks the model: called once it is known who is here */
  async say(text, files, asks) {
    const id = randomKey();
    /** @type {any} */
    const message = { id: null, clientId: id, role: "user", author: this.me, content: text, parts: shownParts(files), files, status: "complete" };
    this.messages.push(message);
    this.changed();
    try {
      await this.#entering;
      if (!this.#room) throw new Error("The room is not open.");
      message.id = (await this.#room.say(contentOf(text, files), { ask: asks(), id })).messageId;
      forget(files);
    } catch (error) {
      Object.assign(message, { refused: error });
      if (this.#closed) forget(files);
    }
    this.#touch(message);
    this.onactivity();
  }

  /** @param {boolean} typing */
  types(typing) {
    this.#room?.types(typing);
  }

  /** @param {"online" | "away"} status */
  presence(status) {
    this.#room?.presence(status).catch(() => {});
  }

  /** Stop a reply, for everybody. @param {any} message */
  stop(message) {
    this.#trying(() => sluice.stop(message.stream_id));
  }

  /** Take a refused message out of the list and return its text and files. @param {any} message */
  takeBack(message) {
    this.messages = this.messages.filter((one) => one !== message);
    this.changed();
    return { text: message.content, files: message.files ?? [] };
  }

  /** @param {() => Promise<{members: any[]}>} change of the members */
  async manage(change) {
    await this.#trying(async () => {
      this.members = (await change()).members;
    });
  }

  async #open() {
    while (!this.#closed) {
      await this.#trying(async () => {
        this.members = (await sluice.rooms.get(this.session.uuid)).members;
        await this.#load();
        this.loading = false;
        await this.#enter();
      });
      if (this.#room || !isForNow(this.failure)) return;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  async #enter() {
    const name = await ownName.get();
    if (this.#closed) return;
    const room = sluice.room(this.session.key, { ...(name && { as: name }), after: this.#lastWhole() });
    this.#room = room;
    let me = /** @type {Author | null} */ (null);
    await new Promise((enter) => {
      room.onstate = (state) => {
        if (room.me || state === "ended") enter(null);
        if (room !== this.#room) return;
        this.connection = state;
        if (room.me && !(me && isSame(me, room.me))) this.#touch(...this.messages); // which of them are one's own is known now
        me = room.me;
        this.changed();
      };
      this.#read(room);
    });
  }

  /** @param {import("../../sluice-client/room.js").Room} room */
  async #read(room) {
    try {
      for await (const event of room) {
        if (room !== this.#room) return;
        this.#takes[event.type]?.(event);
        this.changed();
      }
    } catch (error) {
      this.failure = /** @type {Error} */ (error);
      this.connection = "ended";
      this.onactivity();
      this.changed();
    }
  }

  /** @type {Record<string, (event: any) => void>} */
  #takes = {
    "message:new": (event) => this.#posted(event),
    "reply:start": (event) => this.#begun(event),
    "reply:chunk": ({ streamId }) => this.#grown(streamId),
    "reply:done": (event) => this.#over(event, null),
    "reply:error": (event) => this.#over(event, { code: event.code, message: event.message }),
    "room:members": () => this.manage(() => sluice.rooms.get(this.session.uuid)),
    "room:join": ({ author }) => this.#say(author, "is here"),
    "room:leave": ({ author }) => this.#say(author, "has left"),
    missed: () => this.#trying(() => this.#load()),
  };

  /** @param {any} event */
  #posted({ id, messageId, role, author, content, parts, createdAt, streamId }) {
    const told = { id: messageId, role, author, content, created_at: createdAt, status: "complete", live: null };
    const own = this.messages.find((message) => message.clientId === id && isSame(author, this.me));
    this.#put({ ...told, ...(parts?.length && { parts }) }, own);
    if (streamId || (parts && !parts.length)) this.#reload(messageId); // the event has less than the whole message
    if (!own) this.#say(author, `: ${content}`);
    this.onactivity();
  }

  /** @param {any} event */
  #begun({ streamId, messageId, questionId, content }) {
    const other = this.messages.find((message) => message.question === questionId || message.parent_id === questionId);
    const isBranch = other && other.id !== messageId && other.role === "assistant";
    this.#put({
      id: messageId,
      question: questionId,
      role: "assistant",
      author: { kind: "assistant", name: null },
      status: "streaming",
      stream_id: streamId,
      live: { state: "open" },
      error: null,
      ...(!content && { askedAt: performance.now() }),
    });
    this.#grown(streamId);
    if (isBranch) this.#trying(() => this.#load());
    this.onactivity();
  }

  /** @param {string} streamId */
  #grown(streamId) {
    const reply = this.#room?.replies.get(streamId);
    const message = this.messages.find((one) => one.stream_id === streamId);
    if (!message || !reply) return;
    if (reply.text || reply.reasoning) message.firstAt ??= performance.now();
    Object.assign(message, { content: reply.text, reasoning: reply.reasoning });
    this.#touch(message);
  }

  /** @param {any} event @param {any} error */
  #over({ streamId, messageId, status, reason, model }, error) {
    const message = this.messages.find((one) => one.stream_id === streamId);
    if (!message) return;
    Object.assign(message, { status, reason, error, live: null, ...(model && { model, author: { kind: "assistant", name: model } }) });
    this.#touch(message);
    this.#reload(messageId);
    this.#say(message.author, `: ${message.content}`);
    this.onactivity();
  }

  /** Show a message, or what is new of it. @param {any} told @param {any} [before] */
  #put(told, before = this.messages.find(({ id }) => id === told.id)) {
    if (before) Object.assign(before, told);
    else this.messages.push(told);
    this.messages.sort((one, other) => (one.id ?? Number.POSITIVE_INFINITY) - (other.id ?? Number.POSITIVE_INFINITY));
    this.#touch(before ?? told);
  }

  /** Draw messages again. @param {any[]} messages */
  #touch(...messages) {
    for (const message of messages) message.version = (message.version ?? 0) + 1;
    this.changed();
  }

  /** @param {Author} author @param {string} words */
  #say(author, words) {
    if (!isSame(author, this.me)) this.news = `${nameOf(author)} ${words}`.replace(" : ", ": ").slice(0, SPOKEN_CHARS);
  }

  /** Read one message, with all that the gateway knows of it. @param {number} id */
  #reload(id) {
    this.#trying(async () => {
      const [stored] = await sluice.sessions.messages(this.session.uuid, { after: id - 1, limit: 1 });
      if (stored?.id === id && stored.status !== "streaming") this.#put(stored);
    });
  }

  async #load() {
    const stored = await storedMessages(this.session.uuid);
    const before = new Map(this.messages.map((message) => [message.id, message]));
    const waiting = this.messages.filter(({ id }) => id === null);
    this.messages = [...stored.map((message) => before.get(message.id) ?? message), ...waiting];
    for (const message of stored) {
      const shown = before.get(message.id);
      if (shown && !shown.live && mend(shown, message)) this.#touch(shown);
    }
    this.changed();
    for (const streamId of this.#room?.replies.keys() ?? []) this.#grown(streamId);
  }

  /** Return the id of the last message before the replies that are being written. */
  #lastWhole() {
    const at = this.messages.findIndex(({ status }) => status === "streaming");
    const whole = at < 0 ? this.messages : this.messages.slice(0, at);
    return whole.findLast(({ id }) => id !== null)?.id ?? 0;
  }

  /** @param {() => Promise<unknown>} work */
  async #trying(work) {
    try {
      await work();
      if (this.connection !== "ended") this.failure = null;
    } catch (error) {
      if (!this.#closed) this.failure = /** @type {Error} */ (error);
    }
    this.changed();
  }
}
