/** Attribute of a Tributary node's lookup links: identity of the running process. */
export const NODE_ATTRIBUTE = "tributary-node";
/** Resource types under which an RD lists its own lookups when it advertises others to clients (draft 6.2, RD-C). */
export const FEED_RESOURCE_TYPES = { ep: "tributary.feed-ep", res: "tributary.feed-res" } as const;

/** Attribute of the lookup links of a node that tells proxies above it all that its lookups show. */
export const TIER_ATTRIBUTE = "tributary-tier";

/** Attribute of the feed links of a node that serves the same by CoAP over TCP (RFC 8323), at the same port number. */
export const TCP_ATTRIBUTE = "tributary-tcp";
/** Mean time for which the feed is not read over TCP after that failed, ms. */
export const TCP_PAUSE_MS = 600_000;

/** First and longest pause before an upstream is tried again, ms; each is doubled from the last and jittered. */
export const FIRST_RETRY_MS = 500;
export const LONGEST_RETRY_MS = 30_000;
/** Longest pause after an attempt to which the upstream did not respond at all, ms: an outage is to be over soon after its end. */
export const LONGEST_SILENCE_RETRY_MS = 2_000;
/** Longest pause that an RD may ask for, ms: Max-Age reaches to 136 years. */
export const LONGEST_RETRY_AFTER_MS = 600_000;
/** An upstream that must not be one (this node, another proxy) is looked at again after this time, ms. */
export const REFUSED_RETRY_MS = 300_000;
/** Answer expected to the request that keeps an observation alive, ms: room for two retransmissions (RFC 7252 section 4.8). */
export const HEARTBEAT_TIMEOUT_MS = 10_000;
/** Longest silence of a feed that is believed, ms; a Tributary RD promises to say something within 20 s. */
export const LONGEST_HEARTBEAT_MS = 60_000;
/** Times that a feed is asked again at once within MALFORMED_PAUSE_MS; further ones wait for so long. */
export const HASTY_ASKS = 3;
/** Pause after a patch that cannot be read, before the feed is requested again, ms. */
export const MALFORMED_PAUSE_MS = 2_000;
/** Feed interval where the RD has no place for another observer, ms. */
export const FEED_POLL_MS = 5_000;
/** First interval of reconciliation with an RD whose Observe is not proven, ms. */
export const FIRST_RECONCILE_MS = 5_000;
/** Changes that only reconciliation found, after which an observation counts as dead. */
export const SURPRISES_UNTIL_DEAD = 2;
/** Readings in a row with links and without endpoints, after which the lookups count as moved. */
export const CONTRADICTIONS_UNTIL_MOVED = 2;
/** Remarks kept for operators. */
export const MAX_REMARKS = 16;
/** Most characters of an example of what is left out. */
export const MAX_EXAMPLE_LENGTH = 200;
/** Left-out records of which each is known by name; of others only the number. */
export const MAX_LEFT_OUT_RECORDS = 65_536;
/** Asked lookups of an upstream whose losses are remembered, and for how long after they were last seen, ms. */
export const MAX_ASKED_LOSSES = 64;
export const ASKED_LOSS_MS = 600_000;
/** Registrations by which a way of attribution is tried out, and most of them when those asked first have no links. */
export const ATTRIBUTION_SAMPLES = 3;
export const MAX_ATTRIBUTION_SAMPLES = 24;
/** Registrations per pass whose links are found by taking those of others away, because no query has them alone. */
export const MAX_SHARED_QUERIES = 64;
/** From so many registrations on, links are attributed by the bases of registrations where that is right for a sample of so many. */
export const MANY_REGISTRATIONS = 32;
export const BASE_SAMPLES = 8;
/** Registrations verified at each reconciliation after they were attributed by base. */
export const VERIFIED_AT_ONCE = 8;
/** Attribution requests on their way at once to an RD that answers them quickly. */
export const MAX_ATTRIBUTION_CONCURRENCY = 32;
/** Longest timeout of an attribution request, ms. */
export const LONGEST_ATTRIBUTION_TIMEOUT_MS = 60_000;
/** Interval at which what is attributed is shown while more is asked for, ms. */
export const SHOWN_EVERY_MS = 500;
/** Registrations for whose attribution requests are prepared at once. */
export const ASKED_TOGETHER = 1024;
/** Tries of one attribution request. */
export const ATTRIBUTION_TRIES = 3;
/** Attribution requests that time out one after the other until the RD counts as gone. */
export const TIMEOUTS_UNTIL_GONE = 3;
/** Registrations asked for again at each reconciliation with an RD that does not show all its links. */
export const BLIND_CHECKS = 32;
/** Two readings of an age must be at least so far apart to say anything, ms. */
export const AGE_PROOF_MS = 2_000;
/** Ages are whole seconds, and answers take their time: smaller differences are no renewal, ms. */
export const AGE_TOLERANCE_MS = 1_500;
/** Largest lookup document that is read, bytes, however much memory there is. */
export const MAX_DOCUMENT_BYTES = 64 * 1024 * 1024;
/** The same as a share of `limits.memory`. */
export const DOCUMENT_SHARE = 1 / 4;
/** Share of `limits.memory` that a document may take while it is read, whatever else is held: the heap has about as much besides. */
export const DOCUMENT_WEIGHT_SHARE = 1 / 2;
/** Heap that a link of a document takes while it is read, and an attribute of it, without their texts, bytes. */
export const DOCUMENT_LINK_BYTES = 160;
export const DOCUMENT_ATTRIBUTE_BYTES = 120;
/** Share of a lifetime that must have passed before sighting a record extends it again: fewer events. */
export const EXTENSION_SHARE = 0.1;
/** Records whose times are corrected at once. */
export const RECORDS_PER_SHIFT = 500;
/** Changes of a notification that are made in one step of long work. */
export const CHANGES_PER_STEP = 8;
/** Notifications of all feeds of an RD that wait while another one is applied, from which on the RD has to wait. */
export const MANY_WAITING_NOTIFICATIONS = 4;
/** Notifications of one feed, and their memory in bytes, that wait to be applied. With both reached, it is asked again for further ones. */
export const MAX_WAITING_NOTIFICATIONS = 16;
export const MAX_WAITING_BYTES = 262_144;
/** Patches of one feed, and their bytes, that wait for the patch they build on. With one of them reached, the feed is asked again. */
export const MAX_EARLY_PATCHES = 256;
export const MAX_EARLY_BYTES = 524_288;
/** How long a patch waits for the one it builds on, ms. A lost patch is retransmitted several times in this time. */
export const GAP_PATIENCE_MS = 5_000;
/** The clock of an RD is asked for when it is known less exactly than this, ms. */
export const CLOCK_UNCERTAINTY_MS = 500;
/** First and longest pause before the clock of an RD is asked for (again), ms. */
export const FIRST_CLOCK_PAUSE_MS = 200;
export const LONGEST_CLOCK_PAUSE_MS = 60_000;
/** Registrations of an upstream that have ended here, or for which there is no room, and that it may still hold. */
export const MAX_KEPT_ASIDE = 1_000_000;
/** Mean interval at which an RD that is followed without its feed is discovered again, ms. */
export const REDISCOVERY_MS = 600_000;
/**
 * A plain RD whose lookups answer 4.04 counts as empty when none of its registrations was there for so long, ms, and so often; for longer
 * when it was never seen that its registrations answer anything else. It goes on advertising its lookups all the time.
 */
export const EMPTIED_MS = 300_000;
export const EMPTIED_UNPROVEN_MS = 3_600_000;
export const EMPTIED_SIGHTINGS = 5;
/** What was discovered within this time is not asked for again to be confirmed, ms. */
export const RECENT_DISCOVERY_MS = 2_000;
/** Criteria of the longest query that is generalised, and families watched at once. */
export const MAX_FAMILY_CRITERIA = 8;
export const MAX_WATCHED_FAMILIES = 4096;
/** What was found to be too large to be replicated is not tried again for so long, ms; so many are remembered. */
export const TOO_LARGE_PAUSE_MS = 3_600_000;
export const MAX_TOO_LARGE = 256;
/** Lookups wait for a copy that has been under way for less than this, rather than to be asked one by one, ms. */
export const COPY_PATIENCE_MS = 1000;
/** Registrations without room that are known by name, per upstream; of others only the number. */
export const MAX_NAMES_WITHOUT_ROOM = 16_384;
/** Longer names are not kept of what has no room, characters. */
export const MAX_NAME_LENGTH = 256;
/** Entries of which only one feed has sent its half: one per so many bytes of memory, and at least so many. */
export const BYTES_PER_STAGED = 1024;
export const MIN_STAGED = 65_536;
export const MAX_STAGED = 1_048_576;
/** When it is looked first whether there is room for what was left out, and the longest pause between two copies for that, ms. */
export const FIRST_ROOM_CHECK_MS = 10_000;
export const LONGEST_ROOM_CHECK_MS = 600_000;
/** Share of what an upstream has room for that must be free before it is copied again for what was left out. */
export const ENOUGH_ROOM_SHARE = 1 / 16;
/** Halves of entries may always wait for the other half up to this share of all memory, and at most so many bytes. */
export const STAGING_SHARE = 1 / 32;
export const MAX_STAGING_BYTES = 4_194_304;
/** A registration as it was read takes about as much again as in the directory: nothing of it is shared or packed. */
export const UNPACKED_FACTOR = 2;
/** An RD whose federation time is further from that here than this does not take part in it, ms: its stamps say nothing. */
export const STAMPS_APART_MS = 3_000;
