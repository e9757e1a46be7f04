/** The part of the API for administrators: keys with the scope `admin`, or anybody on the gateway's machine while it has no keys. */
import { Live } from "./live.js";
/** Every method throws SluiceError. */
export declare class Admin {
    #private;
    /** @param {import("./requests.js").Requests} requests */
    constructor(requests: import("./requests.js").Requests);
    /** Return the mode, who switched it, and which modes can serve.
     * @returns {Promise<any>} */
    mode(): Promise<any>;
    /** Switch the mode for new replies; running ones finish where they are.
     * @param {"sse" | "mqtt" | "auto"} mode
     * @param {{force?: boolean}} [options] force: even if the mode cannot serve now
     * @returns {Promise<any>} */
    switchMode(mode: "sse" | "mqtt" | "auto", { force }?: {
        force?: boolean;
    }): Promise<any>;
    /** Return the running replies of all users, the oldest first.
     * @returns {Promise<any[]>} */
    streams(): Promise<any[]>;
    /** @param {string} streamId @returns {Promise<void>} */
    stopStream(streamId: string): Promise<void>;
    /** Return the MQTT workers with their rules.
     * @returns {Promise<any[]>} */
    workers(): Promise<any[]>;
    /** @param {string} name @param {{disabled?: boolean, max_requests?: number | null}} rule @returns {Promise<any>} */
    ruleWorker(name: string, rule: {
        disabled?: boolean;
        max_requests?: number | null;
    }): Promise<any>;
    /** @returns {Promise<any[]>} */
    devices(): Promise<any[]>;
    /** Follow the state of the gateway, for a control room.
     * @param {import("./connection.js").ConnectionOptions} [options]
     * @returns {Live} */
    live(options?: import("./connection.js").ConnectionOptions): Live;
    /** Have the gateway play a device or a worker, and follow its MQTT frames: `started`, `frame`s and `ended`.
     * It ends when the loop over the events is left. It is not resumed after a lost connection.
     * @param {"device" | "worker"} part
     * @param {{text?: string, room?: number | string, signal?: AbortSignal}} [options] text: the device's question; room: where
     *   the device shall be, until the loop is left
     * @returns {AsyncGenerator<any, void, void>} */
    simulate(part: "device" | "worker", { signal, ...more }?: {
        text?: string;
        room?: number | string;
        signal?: AbortSignal;
    }): AsyncGenerator<any, void, void>;
    /** Let the device that is played in a room say something there.
     * @param {string} text @param {boolean} [ask] the model, or not; else the room decides @returns {Promise<void>} */
    deviceSays(text: string, ask?: boolean): Promise<void>;
}
