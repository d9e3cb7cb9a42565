/** Oldest server that has everything the store needs: TTL of messages, their markers, and atomic expectations. */
export const OLDEST_SERVER = [2, 14, 0] as const;
/** How long removals are remembered by the stream, s. An instance that was cut off for longer reads everything again. */
export const REMOVAL_MEMORY_S = 86_400;
/** Time after the end of a registration, its revival included, at which the servers forget what no instance removed, s. */
export const GRACE_S = 60;
/** Time for one request to a server, ms. An election takes about 4 s. */
export const REQUEST_TIMEOUT_MS = 2000;
/** Bounds of what is submitted together: messages, and bytes of their payloads. The servers take up to 1000 messages. */
export const MAX_GROUP_SUBMISSIONS = 128;
export const MAX_GROUP_BYTES = 262_144;
/** Groups without a response that others are submitted beside, and how long others wait for the response of the last one, ms. */
export const MAX_GROUPS_UNDER_WAY = 8;
export const GROUP_PATIENCE_MS = 20;
/** Time after which a submission without a known outcome is given up, ms. */
export const SUBMISSION_DEADLINE_MS = 15_000;
/** Pause before a request is repeated that failed at once, ms. */
export const RETRY_PAUSE_MS = 250;
/** Interval of probes, ms. */
export const PROBE_MS = 2500;
/** Pause between probes while the store is away, ms: what was taken meanwhile waits for its return. */
export const AWAY_PROBE_MS = 500;
/** Without a successful probe for so long, the store is away, ms. */
export const AWAY_MS = 7500;
/** Longest random delay before an instance ends a lifetime, ms. */
export const END_JITTER_MS = 2000;
/** Window in which a repeated submission is recognised, ms. */
export const DUPLICATE_WINDOW_MS = 120_000;
/** Longest time for servers to be ready when the store is opened, ms: after a restart of all they refuse for some seconds. */
export const OPEN_TIMEOUT_MS = 20_000;
/** Time without any message after which the stream is followed again while everything is read, ms. */
export const LOAD_PATIENCE_MS = 2000;
/** Time for which the servers may keep a request for messages, and longest silence of a server that has none, ms. */
export const PULL_MS = 10_000;
export const HEARTBEAT_MS = 2000;
/** Time in which a message that is stored should be delivered, ms. After it the stream is followed again. */
export const DELIVERY_MS = 500;
/** Pause before a submission is repeated that was refused because of one that the servers have not applied yet, ms. */
export const APPLYING_PAUSE_MS = 10;
/** Attempts to replace the marker of a removal by a registration. */
export const MAX_MARKER_ATTEMPTS = 4;
/** Time in which an instance has to know what the others have registered before it says that something is not, ms. */
export const CATCH_UP_MS = 5000;
/** Writes that are taken while the store is away; beyond them they are refused. */
export const MAX_PENDING_WRITES = 100_000;
/** Pending writes that are submitted at once, and attempts for each before the others take their turn. */
export const RECONCILE_AT_ONCE = 64;
export const RECONCILE_ATTEMPTS = 8;
/** Pause before what could not be submitted is submitted again, ms. */
export const RECONCILE_PAUSE_MS = 1000;
