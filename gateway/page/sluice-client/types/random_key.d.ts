/** Keys that nobody else has. */
/** Return 128 random bits; crypto.randomUUID exists only behind https. */
export declare function randomKey(): string;
