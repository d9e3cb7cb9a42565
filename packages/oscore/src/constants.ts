/** Largest sender sequence number: a Partial IV has at most 5 bytes (RFC 8613 section 7.2.1). */
export const MAX_SEQUENCE_NUMBER = 2 ** 40 - 1;
/** Replay window of a context that names none (RFC 8613 section 3.2.2). */
export const DEFAULT_WINDOW = 32;
/** Largest replay window that is accepted. */
export const MAX_WINDOW = 4096;
/** Sequence numbers that are reserved on disk in one step (RFC 8613 appendix B.1.1). */
export const RESERVE_STEP = 1000;
/** Longest ID context that a message may have: longer ones are not looked up. */
export const MAX_ID_CONTEXT_BYTES = 255;
/** OSCORE version in the external AAD (RFC 8613 section 5.4). */
export const OSCORE_VERSION = 1;
