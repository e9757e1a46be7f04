/** Rooms: sessions with members. */
export type Author = {
    kind: "user" | "device" | "assistant";
    name: string | null;
};
export type Member = {
    kind: "user" | "device";
    name: string;
    role: "owner" | "member" | "watcher";
};
export type StoredRoom = {
    /**
     * that of its session
     */
    id: number;
    uuid: string;
    /**
     * the `roomId` of its events
     */
    key: string;
    title: string;
    /**
     * ISO 8601, UTC
     */
    created_at: string;
    /**
     * ISO 8601, UTC
     */
    updated_at: string;
    /**
     * the owner first
     */
    members: Member[];
};
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
export declare class Rooms {
    #private;
    /** @param {import("./requests.js").Requests} requests */
    constructor(requests: import("./requests.js").Requests);
    /** Return the rooms of which you are a member, the latest active first.
     * @param {{limit?: number}} [page]
     * @returns {Promise<StoredRoom[]>} */
    list({ limit }?: {
        limit?: number;
    }): Promise<StoredRoom[]>;
    /** Make a room; you own it.
     * @param {{title?: string, members?: ({user: string, role?: "member" | "watcher"} | {device: string, role?: "member" | "watcher"})[]}} [room]
     * @returns {Promise<StoredRoom>} */
    create(room?: {
        title?: string;
        members?: ({
            user: string;
            role?: "member" | "watcher";
        } | {
            device: string;
            role?: "member" | "watcher";
        })[];
    }): Promise<StoredRoom>;
    /** @param {number | string} room @returns {Promise<StoredRoom>} */
    get(room: number | string): Promise<StoredRoom>;
    /** Add a member, or change its role. Your session becomes a room if it is none.
     * @param {number | string} room
     * @param {{user: string, role?: "member" | "watcher"} | {device: string, role?: "member" | "watcher"}} member
     * @returns {Promise<StoredRoom>} */
    add(room: number | string, member: {
        user: string;
        role?: "member" | "watcher";
    } | {
        device: string;
        role?: "member" | "watcher";
    }): Promise<StoredRoom>;
    /** Remove a member. Everybody may remove themselves.
     * @param {number | string} room
     * @param {{user: string} | {device: string}} member
     * @returns {Promise<StoredRoom>} */
    remove(room: number | string, member: {
        user: string;
    } | {
        device: string;
    }): Promise<StoredRoom>;
    /** Return a ticket: whoever has it may join until it expires, or until the owner removes a member.
     * @param {number | string} room
     * @param {"member" | "watcher"} [role]
     * @returns {Promise<{ticket: string, expires_in_s: number, role: "member" | "watcher"}>} */
    invite(room: number | string, role?: "member" | "watcher"): Promise<{
        ticket: string;
        expires_in_s: number;
        role: "member" | "watcher";
    }>;
    /** Become a member of the room that the ticket is for.
     * @param {string} ticket
     * @returns {Promise<StoredRoom>} */
    join(ticket: string): Promise<StoredRoom>;
}
