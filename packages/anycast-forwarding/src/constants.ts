/** Hop-Limit of a request that came without (RFC 8768 section 3). */
export const DEFAULT_HOP_LIMIT = 16;
/** Longest diagnostic of a 5.08: the names of the nodes on the way (RFC 8768 section 4). */
export const MAX_HOP_DIAGNOSTIC_BYTES = 512;
/** How often a peer that did not answer is asked for a sign of life, ms. */
export const PROBE_INTERVAL_MS = 5000;
/** An observation at a peer outlives its last observer by so much, ms: they come and go in refreshing. */
export const LINGER_MS = 2000;
/** Notifications count as fresh for so long at least, ms, whatever their Max-Age: a refresh is a message. */
export const MIN_FRESH_MS = 5000;
/** Longest timer, ms. */
export const MAX_FRESH_MS = 86_400_000;
/** Max-Age of a 5.03, seconds: when to try again (RFC 7252 section 5.9.3.4). */
export const RETRY_AFTER_S = 5;
/** Largest answer that is passed on, bytes. */
export const MAX_ANSWER_BYTES = 67_108_864;
/** The same for a sender that may be another than it says: it would get a block at most. */
export const MAX_UNPROVEN_ANSWER_BYTES = 65_536;
/** Answers that are being passed on, bytes: the more of them at once, the less each may take. */
export const MAX_PASSING_BYTES = 268_435_456;
/** States of what is observed through this node, with the requests for them, bytes. */
export const MAX_OBSERVED_BYTES = 268_435_456;
/** Requests that wait at once for a peer that is known to be silent; others are not made to. */
export const MAX_WAITING_FOR_SILENT = 8;
