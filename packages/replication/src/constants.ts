/** Epochs are 24-bit numbers (design of the version: 3 bytes of the ETag). */
export const EPOCH_LIMIT = 2 ** 24;
/** Counters are 40-bit numbers (5 bytes of the ETag). */
export const COUNTER_LIMIT = 2 ** 40;
/** Removals remembered by default; a cursor older than the oldest of them starts from the beginning. */
export const DEFAULT_MAX_TOMBSTONES = 100_000;
/** Log items looked at for one patch, so that a narrow filter over a large history does not hold up the process. */
export const MAX_ITEMS_PER_PATCH = 4_096;
/** Operations accepted in one patch; a patch of 64 KiB cannot hold more. */
export const MAX_OPERATIONS = 2_000;
/** Largest patch about more than one registration, bytes: four times what an RD may send. */
export const MAX_SHARED_PATCH_BYTES = 262_144;
/** Largest patch that a reader accepts by default, bytes: one registration at its limits, resolved against a long base. */
export const MAX_PATCH_BYTES = 2_097_152;
/** The same in multiples of the bytes that a registration may have, and the most that any limit makes of it. */
export const PATCH_BYTES_PER_REGISTRATION_BYTE = 32;
export const LARGEST_PATCH_BYTES = 67_108_864;
/** What a patch may have around the links of one registration, bytes. */
export const PATCH_ROOM_BYTES = 16_384;
/** Bytes of a patch for each value in it, on average: an endpoint can hardly write one in less than two bytes of link format. */
export const BYTES_PER_VALUE = 64;
/** What a patch may make a reader recall of entries that it holds, UTF-16 units. */
export const MAX_RECALLED_BYTES = 1_048_576;
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
/** Values of one large entry that are worked on in one step of long work. */
export const VALUES_PER_STEP = 1_024;
