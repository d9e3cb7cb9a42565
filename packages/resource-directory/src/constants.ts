import { CODE } from "@tributary/coap-transport";
import type { Attribute } from "@tributary/link-model";
import { DEFAULT_RECORD_LIMITS } from "@tributary/merge-engine";
import type { RegistrationLimits } from "./types.js";

/** Attributes of the registration interface in `/.well-known/core` (RFC 9176 section 4.3). */
export const REGISTRATION_ATTRIBUTES: readonly Attribute[] = [
  ["rt", "core.rd"],
  ["ct", "40"],
];
/** The same of an RD that proxies endpoints (draft 6.3). */
export const PROXY_REGISTRATION_ATTRIBUTES: readonly Attribute[] = [...REGISTRATION_ATTRIBUTES, ["proxy", null]];
/** Path of simple registration (RFC 9176 section 5.1). */
export const SIMPLE_REGISTRATION_PATH: readonly string[] = [".well-known", "rd"];

/** Lifetime of a registration that names none, seconds (RFC 9176 section 5). */
export const DEFAULT_LIFETIME_S = 90_000;
/** Largest lifetime, seconds (RFC 9176 section 5). */
export const MAX_LIFETIME_S = 4_294_967_295;
/** Longest endpoint name or sector, UTF-8 bytes (RFC 9176 section 5). */
export const MAX_NAME_BYTES = 63;

/** Default limits of registrations. */
export const DEFAULT_LIMITS: RegistrationLimits = {
  ...DEFAULT_RECORD_LIMITS,
  registrations: 1_000_000,
};

/** An expired registration stays revivable for its own lifetime, but no longer than a day (LIF-05). */
export const MAX_DORMANT_MS = 86_400_000;
/** Expired registrations kept for revival; beyond it the one that expired first goes. */
export const MAX_DORMANT = 100_000;
/** Pause before the end of a lifetime is reported again to a store that did not take it; up to twice as long. */
export const END_RETRY_MS = 10_000;
/** Submissions for one request while other instances change the same registration; 5.03 beyond. */
export const MAX_SUBMISSIONS = 64;
/** How often expired registrations are looked through. Requests see an overdue one as gone at once. */
export const COLLECTION_INTERVAL_MS = 60_000;

/** How long an endpoint may take to hand out its `/.well-known/core` (RFC 9176 section 5.1): three transmissions. */
export const SIMPLE_FETCH_TIMEOUT_MS = 15_000;
/** Documents fetched at once for simple registrations; 5.03 beyond. */
export const MAX_SIMPLE_FETCHES = 256;

/** Max-Age of feed answers, seconds. A subscriber that heard nothing for so long asks again: it is the heartbeat as well. */
export const FEED_MAX_AGE_S = 20;
/** A patch over UDP fits one block of 1024 bytes. */
export const FEED_PATCH_BYTES_UDP = 1000;
export const FEED_PATCH_BYTES_TCP = 65_536;
/** Patches of one feed that are sent before the first of them is acknowledged, where the transport has a congestion window. */
export const FEED_PATCHES_IN_TRANSIT = 64;
/** How long changes are gathered for one patch while others are in transit, ms. */
export const FEED_GATHER_MS = 10;

/** Changes of the directory move the expiry timer at most this often, ms. Below the shortest lifetime of 1 s. */
export const SWEEP_REARM_MS = 200;
/** Registrations looked at in one step, where many end at once. */
export const ENDS_PER_STEP = 16;
/** Longest sleep of the expiry timer, ms. */
export const MAX_SWEEP_SLEEP_MS = 86_400_000;

/** Why a request was refused, and the response code that says so. The causes are the keys of `rejected`. */
export const REFUSAL_CODE = {
  "bad-request": CODE.BAD_REQUEST,
  "bad-document": CODE.BAD_REQUEST,
  unverified: CODE.UNAUTHORIZED,
  "not-fresh": CODE.UNAUTHORIZED,
  "not-found": CODE.NOT_FOUND,
  "bad-method": CODE.METHOD_NOT_ALLOWED,
  "not-acceptable": CODE.NOT_ACCEPTABLE,
  "too-large": CODE.REQUEST_ENTITY_TOO_LARGE,
  "bad-format": CODE.UNSUPPORTED_CONTENT_FORMAT,
  full: CODE.UNAVAILABLE,
  "proxy-full": CODE.UNAVAILABLE,
  memory: CODE.UNAVAILABLE,
  conflict: CODE.UNAVAILABLE,
  overload: CODE.UNAVAILABLE,
  closed: CODE.UNAVAILABLE,
  "store-failure": CODE.UNAVAILABLE,
  "store-away": CODE.UNAVAILABLE,
  "endpoint-silent": CODE.GATEWAY_TIMEOUT,
} as const;

export type RefusalCause = keyof typeof REFUSAL_CODE;
/** First copies of the feed whose position is remembered while they are under way. */
export const MAX_COPIES_UNDER_WAY = 1024;
/** Heap that a registration takes besides its record in the directory and its texts, bytes: entry, tables, history of the feed. */
export const KEPT_BYTES = 640;
/** An attribute of a kept registration, without its texts, bytes. */
export const ATTRIBUTE_BYTES = 56;
/** A link in the directory, bytes at least. */
export const LEAST_LINK_BYTES = 96;
/** An address in the table of those who register, bytes. */
export const ADDRESS_BYTES = 120;
/** A registration that is known by its name alone, because it is kept on disk, bytes. */
export const ON_DISK_BYTES = 240;
/** Below this free share of the memory of own registrations, addresses get less the more they hold. */
export const CROWDED_SHARE = 1 / 4;
/** What one address may then hold, as a share of what is free. */
export const NEWCOMER_SHARE = 1 / 4;
/** Groups of an IPv6 address that make a /64 prefix. */
export const PREFIX_GROUPS = 4;
/** Links of a registration that take so long to read and to show that other work comes in between, bytes. */
export const LONG_LINKS_BYTES = 4096;
/** Ended registrations that are given up at most for the sake of one new registration. */
export const MAX_GIVEN_UP = 1024;
/** How often it is tried to bring back registrations that are on disk only, and how many are looked at each time. */
export const BRING_BACK_INTERVAL_MS = 10_000;
export const BROUGHT_BACK_AT_ONCE = 256;
