/** Prefix of names before they are hashed, so that the keys are those of this protocol. */
export const NAME_PREFIX = "tributary:";
/** Prefix of what a record's signature covers. */
export const RECORD_CONTEXT = "tributary global lookup record";
/** Prefix of what the signature of an endpoint's proof covers. */
export const PROOF_CONTEXT = "tributary endpoint proof";
export const RECORD_VERSION = 1;
/** Largest record: with the headers of the pool it fits into one datagram that is not fragmented. */
export const MAX_RECORD_BYTES = 800;
/** Largest number of addresses in a record. */
export const MAX_RECORD_URIS = 8;
/** Largest length of an address in a record, characters. */
export const MAX_URI_LENGTH = 128;
/** Largest time for which a record is valid, s. */
export const MAX_RECORD_LIFETIME_S = 86_400;
/** Time for which this node's own record is valid, s: announcements of an RD that died are void after this. */
export const RECORD_LIFETIME_S = 1800;
/** Time after which the own record is published again, ms. */
export const RECORD_REFRESH_MS = 600_000;
/** Time for which members keep announcements, ms; they may drop them after two thirds of it. */
export const ANNOUNCEMENT_LIFETIME_MS = 43_200_000;
/** Time after which something is tried again that failed, ms. */
export const RETRY_MS = 30_000;
/** Announcements under way at once. */
export const ANNOUNCING_CONCURRENCY = 8;

/** RDs asked at once for one name. */
export const ASKED_AT_ONCE = 3;
/** RDs asked for one name in all. */
export const MAX_ASKED = 9;
/** Announcers looked at for one name. */
export const MAX_CANDIDATES = 32;
/** Time after the first announcer that others have before RDs are asked, ms. */
export const GATHERING_MS = 30;
/** Largest response of an RD to a global lookup, bytes. */
export const MAX_RESPONSE_BYTES = 16_384;
/** Links of such a response that are used. */
export const MAX_LINKS = 16;
/** Longest time for which a result is kept, s. */
export const MAX_CACHED_S = 3600;
/** Time for which it is kept that nobody announces a name, or that nobody responded, s. */
export const NEGATIVE_S = 5;
/** Time for which the record of an announcer is kept, ms. */
export const KEPT_RECORD_MS = 300_000;
/** Bytes of heap for kept results. */
export const CACHE_BYTES = 16_777_216;
export const CACHE_ENTRIES = 10_000;
/** Announcers that are remembered. */
export const REMEMBERED_ANNOUNCERS = 10_000;
/** Searches under way at once. */
export const MAX_SEARCHES = 256;
