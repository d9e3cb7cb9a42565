/** Registrations over all sources, by default. */
export const DEFAULT_MAX_REGISTRATIONS = 1_000_000;
/** The most that any setting allows: a JavaScript `Map` holds 2^24 entries, and one is kept per registration. */
export const LARGEST_MAX_REGISTRATIONS = 16_000_000;
/** Items in one chunk of a sorted list before it is split. */
export const CHUNK_SIZE = 512;
/** Slots of one token that are kept in a plain array before they move to a sorted list. */
export const SMALL_POSTING = 32;
/** Distinct strings of one generation of the pool; it holds two generations. */
export const POOL_GENERATION = 16_384;
/** Longest string worth looking for in the pool. */
export const MAX_POOLED_LENGTH = 64;
/** Candidates up to this share of all keys are collected and sorted. */
export const SORTED_SHARE = 1 / 64;
/** Candidates that are collected and sorted whatever the share. */
export const MIN_SORTED = 64;
/** Candidates up to this share of all keys are worth being marked, so that walking the order skips the others. */
export const MARKED_SHARE = 1 / 4;
/** Attributes that RDs report to proxies only (draft 5.2): never part of a lookup answer, never met by an endpoint. */
export const AGE_ATTRIBUTES: ReadonlySet<string> = new Set(["lt", "lt-age", "lt-remaining"]);
/** Resource type of every endpoint link (RFC 9176 section 6.4). */
export const ENDPOINT_RESOURCE_TYPE = "core.rd-ep";
/** Federation times that differ by no more count as equal: clocks kept by NTP differ by much less, ms. */
export const FEDERATION_TOLERANCE_MS = 1_000;
/** No node goes further ahead of its own wall clock than this: the age of a clock that was never set, ms. */
export const LONGEST_LEAD_MS = 100 * 365 * 86_400_000;
/** Federation time of others is followed no more often than this, ms. */
export const HASTE_MS = 2_000;
/** A registration at a lost RD counts as renewed so much earlier, ms: what clocks may differ by is no reason to prefer it. */
export const LOST_PENALTY_MS = 1_000;
/** Candidates looked at between two places where a lookup may be interrupted: well below a millisecond of work. */
export const CANDIDATES_PER_STEP = 64;
