/** Max-Age in seconds of an answer from which upstreams are missing: they may be back soon. */
export const PARTIAL_MAX_AGE_S = 5;
/** Largest `count` that is pushed down to an upstream; beyond it the whole answer is asked for. */
export const MAX_PUSHED_COUNT = 10_000;
/** After an upstream did not answer, what is held is served so long before it is asked again, ms. */
export const FAILURE_PAUSE_MS = 5000;
/** What links take in memory, as a multiple of their text. */
export const LINK_WEIGHT_FACTOR = 4;
/** How often it is seen whether an observed answer is still asked for, ms. */
export const COLD_CHECK_MS = 30_000;
/** Share of its deadline for which a lookup waits for a copy that will cover it. */
export const COPY_WAIT_SHARE = 0.5;
/** Links that are dealt with between two places where others may have their turn: well below a millisecond of work. */
export const LINKS_PER_STEP = 64;
