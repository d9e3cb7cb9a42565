/** Hop-Limit added to a request without one (RFC 8768 section 3). */
export const DEFAULT_HOP_LIMIT = 16;
/** Longest diagnostic payload of a 5.08, which lists the nodes on the path (RFC 8768 section 4). */
export const MAX_HOP_DIAGNOSTIC_BYTES = 512;
/** Interval between pings of a peer that did not respond, ms. */
export const PROBE_INTERVAL_MS = 5000;
/** Time that an observation at a peer outlives its last observer, ms: observers leave and return when they refresh. */
export const LINGER_MS = 2000;
/** Shortest interval between refreshes of an observation, ms, whatever the Max-Age of its notifications. */
export const MIN_FRESH_MS = 5000;
/** Longest interval between refreshes of an observation, ms. */
export const MAX_FRESH_MS = 86_400_000;
/** Max-Age of a 5.03, seconds: when the client may retry (RFC 7252 section 5.9.3.4). */
export const RETRY_AFTER_S = 5;
/** Largest response that is forwarded, bytes. */
export const MAX_RESPONSE_BYTES = 67_108_864;
/** Largest response for a client with an unproven source address, which gets one block at most. */
export const MAX_UNPROVEN_RESPONSE_BYTES = 65_536;
/** Budget for all responses that are being forwarded, bytes; concurrent requests share it. */
export const MAX_RESPONSES_BYTES = 268_435_456;
/** Budget for observed states and the requests for them, bytes. */
export const MAX_OBSERVED_BYTES = 268_435_456;
/** Concurrent requests to a peer that did not respond last time; further ones skip it. */
export const MAX_WAITING_FOR_SILENT = 8;
