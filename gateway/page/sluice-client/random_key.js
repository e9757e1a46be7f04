/** Keys that nobody else has. */

/** Return 128 random bits; crypto.randomUUID exists only behind https. */
export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
