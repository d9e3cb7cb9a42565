/** Max-Age in seconds of an answer from which upstreams are missing: they may be back soon. */
export const PARTIAL_MAX_AGE_S = 5;
/** Largest `count` that is pushed down to an upstream; beyond it the whole answer is asked for. */
export const MAX_PUSHED_COUNT = 10_000;
