/** Max-Age of a 5.03, seconds: when to try again (RFC 7252 section 5.9.3.4). */
export const RETRY_AFTER_S = 10;

/** Largest body of a response, bytes. */
export const MAX_BODY_BYTES = 67_108_864;

/** The same for a sender whose address is not verified: it would get one block at most, so more is not written. */
export const MAX_UNPROVEN_BODY_BYTES = 65_536;

/** Largest Max-Age of responses that show ages, seconds (draft 5.2). */
export const MAX_AGE_WITH_AGES_S = 60;

/** Cached responses to lookups without an exact criterion: each change examines all of them. */
export const MAX_BROAD_RESPONSES = 64;

/** Length from which a body is sent while it is written, bytes. */
export const HEAD_BYTES = 65_536;

/** The same for lookups without `count`, which are written only as far as they are read. */
export const BROAD_HEAD_BYTES = 16_384;

/** The same for lookups that are known to be long: two blocks over UDP, so that the first one is known not to be the last. */
export const LONG_HEAD_BYTES = 2048;

/** Number of registrations from which lookups may take several turns of the event loop. */
export const MIN_STEPPED = 1000;

/** Concurrent lookups that take several turns; 5.03 beyond. */
export const MAX_WAITING_LOOKUPS = 256;

/** Max-Age of a partial response, seconds: what is missing may be there soon. */
export const PARTIAL_MAX_AGE_S = 5;

/** Times that a lookup is begun while sources that it reads are closed; 5.03 beyond. */
export const MAX_TRIES = 5;
