/** Registrations over all sources, by default. */
export const DEFAULT_MAX_REGISTRATIONS = 1_000_000;
/** Items in one chunk of a sorted list before it is split. */
export const CHUNK_SIZE = 512;
/** Distinct short strings that are kept once; beyond it strings are stored as they come. */
export const MAX_INTERNED = 65_536;
/** Longest string worth keeping once. */
export const MAX_INTERNED_LENGTH = 64;
/** A criterion met by more than this share of the registrations is answered by walking the order, not by the index. */
export const BROAD_SHARE = 0.25;
/** Attributes that RDs report to proxies only (draft 5.2): never part of a lookup answer. */
export const AGE_ATTRIBUTES: ReadonlySet<string> = new Set(["lt", "lt-age", "lt-remaining"]);
