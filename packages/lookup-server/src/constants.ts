/** Max-Age of a partial response, seconds: what is missing may be back soon. */
export const PARTIAL_MAX_AGE_S = 5;
/** Largest `count` that is pushed down to an upstream; for a larger one everything is requested. */
export const MAX_PUSHED_COUNT = 10_000;
/** Time for which a stale result is served after a failure before the upstream is asked again, ms. */
export const FAILURE_PAUSE_MS = 5000;
/** Memory of parsed links, as a multiple of their text. */
export const LINK_WEIGHT_FACTOR = 4;
/** Interval of checks whether an observed result is still in use, ms. */
export const COLD_CHECK_MS = 30_000;
/** Share of its deadline for which a lookup waits for a copy that will cover it. */
export const COPY_WAIT_SHARE = 0.5;
/** Links per step of work that may be interrupted: well below a millisecond. */
export const LINKS_PER_STEP = 64;
