/** Default of the largest number of registrations over all sources. */
export const DEFAULT_MAX_REGISTRATIONS = 1_000_000;
/** Largest limit that can be set: a JavaScript `Map` has at most 2^24 entries, one per registration. */
export const LARGEST_MAX_REGISTRATIONS = 16_000_000;
/** Items in one chunk of a sorted list before it is split. */
export const CHUNK_SIZE = 512;
/** Slots of one token that are kept in a plain array before they move to a sorted list. */
export const SMALL_POSTING = 32;
/** Distinct strings of one generation of the pool; it holds two generations. */
export const POOL_GENERATION = 16_384;
/** Longest string that the pool looks up. */
export const MAX_POOLED_LENGTH = 64;
/** Candidates up to this share of all keys are collected and sorted. */
export const SORTED_SHARE = 1 / 64;
/** Candidates that are collected and sorted whatever the share. */
export const MIN_SORTED = 64;
/** Candidates that are collected and sorted at most, whatever the share: more would take too long at once. */
export const MAX_SORTED = 2048;
/** Candidates of a prefix that are counted before it is known whether they are needed. */
export const MAX_COUNTED = 256;
/** Keys of a broad lookup that are tried in order before any are marked. */
export const LOOKS_BEFORE_MARKS = 64;
/** Further ones before the values of a prefix are counted. */
export const LOOKS_BEFORE_PREFIXES = 256;
/** Slots that are marked in about the time in which one candidate is tried. */
export const MARKED_PER_LOOK = 64;
/** Candidates up to this share of all keys are worth being marked, so that walking the order skips the others. */
export const MARKED_SHARE = 1 / 4;
/** Attribute for the time since the last renewal of a registration, and query item by which a proxy asks for it, s (draft 5.2). */
export const LT_AGE = "lt-age";
/** Attribute for the rest of the lifetime of a registration, s (draft 5.2). */
export const LT_REMAINING = "lt-remaining";
/** Attributes that RDs report to proxies only (draft 5.2): never part of a lookup result, never matched by a criterion. */
export const AGE_ATTRIBUTES: ReadonlySet<string> = new Set(["lt", LT_AGE, LT_REMAINING]);
/** Resource type of every endpoint link (RFC 9176 section 6.4). */
export const ENDPOINT_RESOURCE_TYPE = "core.rd-ep";
/** Federation times that differ by no more count as equal: clocks kept by NTP differ by much less, ms. */
export const FEDERATION_TOLERANCE_MS = 1_000;
/** Largest lead of federation time over the wall clock of a node: about the age of a clock that was never set, ms. */
export const LONGEST_LEAD_MS = 100 * 365 * 86_400_000;
/** Shortest interval between two steps after the federation time of others, ms. */
export const HASTE_MS = 2_000;
/** A registration at a lost RD counts as renewed this much earlier, ms: a difference of clocks must not decide in its favour. */
export const LOST_PENALTY_MS = 1_000;
/** Candidates per step of a lookup that may be interrupted: well below a millisecond of work. */
export const CANDIDATES_PER_STEP = 64;
/*
 * Weights in the heap of a 64-bit engine, bytes. Measured: see `record-weight.test.ts`.
 */
/** A record with its key and its places in tables, order and expiry heap, without texts. */
export const RECORD_BYTES = 400;
/** A text besides its characters, rounding included. */
export const TEXT_HEADER_BYTES = 24;
/** Target and number of attributes of a packed link. */
export const LINK_SLOT_BYTES = 16;
/** Name and value of a packed attribute. */
export const ATTRIBUTE_SLOT_BYTES = 16;
/** A value in the index, without its text. */
export const INDEX_ENTRY_BYTES = 56;
/** A name in the index, with the list of its values. */
export const INDEX_NAME_BYTES = 220;
/** Names that every directory has in its index anyway (RFC 6690, RFC 7252, RFC 9176, IANA's registry of target attributes). */
export const COMMON_ATTRIBUTES: ReadonlySet<string> = new Set([
  ...["rt", "if", "rel", "rev", "anchor", "ct", "sz", "obs", "title", "title*", "type", "hreflang", "media", "et"],
  ...["hct", "osc", "ep", "d", "base", "href", "provenance"],
]);
/** Number of skipped keys that take as long as one candidate. */
export const KEYS_PER_LOOK = 16;
/** Candidates of a lookup that is written at once: some tenths of a millisecond of work. */
export const CANDIDATES_AT_ONCE = 512;
/** Records past their time that are examined to find out whether any has really ended. */
export const MAX_DUE_EXAMINED = 64;
