/** Max-Age of a 5.03, seconds: when to try again (RFC 7252 section 5.9.3.4). */
export const RETRY_AFTER_S = 10;

/** Largest answer to one lookup, bytes. Larger ones would hold up everybody else. */
export const MAX_BODY_BYTES = 67_108_864;

/** The same for a sender that may be another than it says: it would get a block at most, so that writing more is in vain. */
export const MAX_UNPROVEN_BODY_BYTES = 65_536;

/** Max-Age of answers that show ages, seconds at most (draft 5.2). */
export const MAX_AGE_WITH_AGES_S = 60;

/** Answers to lookups without an exact criterion that are remembered at once. */
export const MAX_BROAD_RESPONSES = 64;

/** What is longer is sent while it is written. */
export const HEAD_BYTES = 65_536;

/** Registrations from which on lookups may take several turns of the event loop. */
export const MIN_STEPPED = 1000;

/** Lookups that are answered in several turns at once; 5.03 beyond. */
export const MAX_WAITING_LOOKUPS = 256;

/** Max-Age of an answer that misses something, seconds: it may be there soon. */
export const PARTIAL_MAX_AGE_S = 5;
