/** sluice-client: asks a Sluice gateway, and reads replies that go on over lost connections. */
export { retryNow } from "./backoff.js";
export { Live } from "./live.js";
export { Reply } from "./reply.js";
export { SluiceError } from "./requests.js";
export { Room } from "./room.js";
export { Sluice } from "./sluice.js";
