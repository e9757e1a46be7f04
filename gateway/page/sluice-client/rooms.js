/** Rooms: sessions with members. */

/** @typedef {{kind: "user" | "device" | "assistant", name: string | null}} Author */
/** @typedef {{kind: "user" | "device", name: string, role: "owner" | "member" | "watcher"}} Member */

/**
 * @typedef {object} StoredRoom
 * @property {number} id that of its session
 * @property {string} uuid
 * @property {string} key the `roomId` of its events
 * @property {string} title
 * @property {string} created_at ISO 8601, UTC
 * @property {string} updated_at ISO 8601, UTC
 * @property {Member[]} members the owner first
 */

/** Every method throws SluiceError. A room is named by the id, uuid or key of its session. */
export class Rooms {
  #requests;

  /** @param {import("./requests.js").Requests} requests */
  constructor(requests) {
    this.#requests = requests;
  }

  /** Return the rooms of which you are a member, the latest active first.
   * @param {{limit?: number}} [page]
   * @returns {Promise<StoredRoom[]>} */
  list({ limit = 200 } = {}) {
    return this.#requests.json("GET", `/api/chatbot/rooms?limit=${limit}`);
  }

  /** Make a room; you own it.
   * @param {{title?: string, members?: ({user: string, role?: "member" | "watcher"} | {device: string, role?: "member" | "watcher"})[]}} [room]
   * @returns {Promise<StoredRoom>} */
  create(room = {}) {
    return this.#requests.json("POST", "/api/chatbot/rooms", { body: room });
  }

  /** @param {number | string} room @returns {Promise<StoredRoom>} */
  get(room) {
    return this.#requests.json("GET", path(room));
  }

  /** Add a member, or change its role. Your session becomes a room if it is none.
   * @param {number | string} room
   * @param {{user: string, role?: "member" | "watcher"} | {device: string, role?: "member" | "watcher"}} member
   * @returns {Promise<StoredRoom>} */
  add(room, member) {
    return this.#requests.json("POST", `${path(room)}/members`, { body: member });
  }

  /** Remove a member. Everybody may remove themselves.
   * @param {number | string} room
   * @param {{user: string} | {device: string}} member
   * @returns {Promise<StoredRoom>} */
  remove(room, member) {
    return this.#requests.json("DELETE", `${path(room)}/members?${new URLSearchParams(member)}`);
  }

  /** Return a ticket: whoever has it may join until it expires, or until the owner removes a member.
   * @param {number | string} room
   * @param {"member" | "watcher"} [role]
   * @returns {Promise<{ticket: string, expires_in_s: number, role: "member" | "watcher"}>} */
  invite(room, role = "member") {
    return this.#requests.json("POST", `${path(room)}/invitations`, { body: { role } });
  }

  /** Become a member of the room that the ticket is for.
   * @param {string} ticket
   * @returns {Promise<StoredRoom>} */
  join(ticket) {
    return this.#requests.json("POST", "/api/chatbot/rooms/join", { body: { ticket } });
  }
}

/** @param {number | string} room */
function path(room) {
  return `/api/chatbot/rooms/${encodeURIComponent(room)}`;
}
