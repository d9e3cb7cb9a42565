/** Epochs are 24-bit numbers (design of the version: 3 bytes of the ETag). */
export const EPOCH_LIMIT = 2 ** 24;
/** Counters are 40-bit numbers (5 bytes of the ETag). */
export const COUNTER_LIMIT = 2 ** 40;
/** Removals remembered by default; a cursor older than the oldest of them starts anew. */
export const DEFAULT_MAX_TOMBSTONES = 100_000;
/** Log items looked at for one patch, so that a narrow filter over a large history does not hold up the process. */
export const MAX_ITEMS_PER_PATCH = 20_000;
/** Operations accepted in one patch; a patch of 64 KiB cannot hold more. */
export const MAX_OPERATIONS = 2_000;
/** Largest patch about more than one registration, bytes: four times what an RD may send. */
export const MAX_SHARED_PATCH_BYTES = 262_144;
/** Largest patch that a reader accepts, bytes: one registration at its limits, with links resolved against a long base. */
export const MAX_PATCH_BYTES = 1_048_576;
/** What a patch may make a reader recall of entries that it holds, UTF-16 units. */
export const MAX_RECALLED_BYTES = MAX_PATCH_BYTES;
/** Levels of objects and arrays in a feed document: document, collection, entry, link, attribute values. */
export const MAX_DOCUMENT_DEPTH = 5;
/** Halves of registrations that wait for the other feed: an RD that sends one feed alone must not fill the memory. */
export const MAX_STAGED = 1_048_576;
/** Record problems reported from one patch. */
export const MAX_PROBLEMS = 16;
/** Entries known by name that a feed has and its reader does not hold. */
export const MAX_UNHELD_ENTRIES = 65_536;
/** Faulty entries of one feed that are known by name; of others only the number. */
export const MAX_FAULTY_ENTRIES = 65_536;
/** Longest name by which a faulty entry is known, characters. */
export const MAX_FAULTY_HREF_LENGTH = 1024;
/** Two clocks drift apart by less than this share of the time that passes (quartz: 0.0001). */
export const CLOCK_DRIFT = 0.0002;
/** Smaller corrections of the clock of an RD are not worth touching all its records, ms. */
export const CLOCK_SHIFT_MS = 250;
/** Proxies that a registration may have come through, and the longest name of one. */
export const MAX_ROUTE_NODES = 16;
export const MAX_NODE_ID_LENGTH = 64;
/** When a registration of another RD was renewed, in the feed of a proxy: federation time, ms since the Unix epoch. */
export const RENEWED_MEMBER = "@renewed";
/** Entries or operations that are worked on in one step of long work: well below a millisecond, unless one of them is large. */
export const ENTRIES_PER_STEP = 32;
/** Names that are only looked up in one step of long work. */
export const HREFS_PER_STEP = 512;
