import type { Attribute, Link, LookupQuery } from "@tributary/link-model";
import type { FederationClock } from "./federation-clock.js";
import type { SharedLimit } from "./shared-limit.js";

/** Which lookup interface a query is put to (RFC 9176 section 6): endpoints or resources. */
export type LookupInterface = "ep" | "res";

/**
 * One registration as a source holds it: the unit of replication, merge and eviction.
 * All times are milliseconds on the monotonic clock of this process.
 */
export interface Registration {
  /**
   * Registration resource: a path-absolute reference at its source, e.g. `/reg/42`, or the full URI of one that the source has
   * from elsewhere. Unique within the source.
   */
  readonly href: string;
  readonly ep: string;
  /** Sector; absent is a value of its own (rule 5). */
  readonly d?: string;
  /** Registration base URI, absolute. */
  readonly base: string;
  /** Further endpoint attributes in order: `et` (repeated, never joined) and extensions. Never ep, d, base, lt, rt. */
  readonly attributes: readonly Attribute[];
  /** Links with target and anchor already resolved against `base` (RFC 9176 section 6.1). */
  readonly links: readonly Link[];
  /** Registration lifetime in milliseconds, when the source reports it. */
  readonly ltMs?: number;
  /** When the endpoint last renewed, as far as this node knows the clock of its RD. */
  readonly renewedAtMs: number;
  /**
   * The same by the wall clock of the RD, as the RD tells it: ms since the Unix epoch, whole microseconds. Decides between
   * duplicates (rule 1), because it is the same at every proxy. Absent: `renewedAtMs` by the clock of this node decides.
   */
  readonly stampMs?: number;
  /** When the record stops being true unless renewed. */
  readonly expiresAtMs: number;
  /**
   * `exact`: the source reports age and lifetime, so the record ends at `expiresAtMs` whatever the connection does.
   * `assumed`: the lifetime is a stand-in; it counts only while the source is not connected.
   */
  readonly expiry: "exact" | "assumed";
  /** Proxies that it came through, the one that is closest to its RD first; absent: none, its source is the RD itself. */
  readonly via?: readonly string[];
  /** IPv6 zone of a link-local base: the registration is shown only to clients on that link (RFC 9176 section 6.1). */
  readonly zone?: string;
}

/** A registration together with where it was read from. */
export interface SourcedRegistration extends Registration {
  readonly source: string;
  /** `href` as the directory shows it: absolute for an upstream, path-absolute for this node's own registrations. */
  readonly shownHref: string;
  /** Federation time of the last renewal, ms since the Unix epoch: what rule 1 goes by. */
  readonly orderMs: number;
}

/** When a registration was renewed and when it ends. */
export type RenewalTimes = Pick<Registration, "renewedAtMs" | "expiresAtMs" | "stampMs">;

/** What decides between registrations of one endpoint (`Renewal`), as one source tells it. */
export interface SourcedRenewal {
  readonly source: string;
  /** Federation time, ms since the Unix epoch. */
  readonly renewedAtMs: number;
  /** `shownHref` of the registration. */
  readonly href: string;
  readonly base: string;
  /** The source is not connected. */
  readonly isLost: boolean;
}

/** Settings of a source. */
export interface SourceOptions {
  /** Origin of the RD, e.g. `coap://[2001:db8:23::3]`, put before `href` (draft 4.2 transcoding); `null` for this node's own RD. */
  readonly authority: string | null;
  /** Who its records count for in the limits; sources may share an account. Default: its name. Fixed when it is first opened. */
  readonly account?: string;
}

/** State of a record: shown by lookups, superseded by another one of its endpoint, or of a source that is not connected. */
export type RegistrationState = "visible" | "superseded" | "stale";

/** Why a registration is, or is no longer, shown. */
export type ChangeCause =
  | "registered"
  | "updated"
  | "renewed"
  | "removed"
  | "expired"
  | "superseded"
  | "returned"
  | "source-closed";

/**
 * One change of the visible union, emitted after it took effect.
 * `before`/`after` are what is shown for the key (absent: nothing). An eviction has both, of different sources.
 */
export interface VisibleChange {
  readonly cause: ChangeCause;
  readonly ep: string;
  readonly d?: string;
  readonly before?: SourcedRegistration;
  readonly after?: SourcedRegistration;
  readonly atMs: number;
}

/** One change of what a single source holds, whether or not it is visible. Drives the replication feed. */
export interface SourceChange {
  readonly source: string;
  readonly href: string;
  readonly kind: "added" | "replaced" | "renewed" | "removed";
  /** For `replaced`: which halves differ from before. Always true for `added`. */
  readonly endpointChanged: boolean;
  readonly linksChanged: boolean;
  readonly cause: ChangeCause;
  readonly registration: SourcedRegistration;
  readonly atMs: number;
}

/** Listeners of a directory, by event. */
export interface DirectoryEvents {
  /** Called when the visible record of an endpoint changed. */
  visible: (change: VisibleChange) => void;
  /** Called when a record of a source changed, visible or not. */
  source: (change: SourceChange) => void;
  /** A source was connected or lost: staleness of its records changed. */
  connection: (source: string, connected: boolean) => void;
  /** Stamps of a source (null: of all sources) now stand for another federation time. */
  retimed: (source: string | null) => void;
  /** The wall clock of this node was set, so its earlier stamps stand for another time. Before `retimed`. */
  rebased: () => void;
}

/** Numbers of records by state. */
export interface DirectoryCounts {
  readonly visible: number;
  readonly superseded: number;
  /** Records of sources that are not connected (visible or superseded). */
  readonly stale: number;
  readonly total: number;
}

/** Settings of one lookup in a directory. */
export interface LookupOptions {
  /** Zone of the asking client's link, so that link-local registrations of that link are shown. */
  readonly zone?: string;
  /**
   * Only registrations of these sources, when other sources were asked directly: of each endpoint the one that is shown, or else
   * the latest of these sources. If the one that is shown does not match, nothing of the endpoint is found.
   */
  readonly sources?: ReadonlySet<string>;
  /** Exactly the registrations of this source, including superseded ones. */
  readonly heldBy?: string;
}

/**
 * One directory of many sources. Pure: no I/O, timers or clock of its own; methods that depend on time take it as an argument.
 * The visible union is a function of the live records, never of their order of arrival (rules 1 and 2).
 */
export interface Directory {
  /** Limits of the number and weight of registrations, which may be shared with others. */
  readonly limits: DirectoryLimits;

  /** Adds a listener; returns the function that removes it. */
  on<E extends keyof DirectoryEvents>(event: E, listener: DirectoryEvents[E]): () => void;

  /** Declares a source, before anything is written to it. Reopening keeps its records and updates the options. Not connected at first. */
  openSource(name: string, options: SourceOptions): void;
  /** Federation time of this node; orders registrations without stamps, and its own. */
  readonly clock: FederationClock;
  /**
   * Sets how far federation time is ahead of the stamps of the source (initially 0). null: its stamps are of no use, and its
   * registrations are ordered by `renewedAtMs`.
   */
  setLead(source: string, leadMs: number | null, nowMs: number): void;
  /** Returns what `setLead` set; undefined without such a source. */
  lead(source: string): number | null | undefined;
  /** Connected: the source decides which of its records exist. Not connected: its records are stale and end at `expiresAtMs`. */
  setConnected(source: string, connected: boolean, nowMs: number): void;
  /** Whether the RD of a source can be reached, so that the source decides which of its records exist. */
  isConnected(source: string): boolean;
  /** Removes a source and all its records. */
  closeSource(source: string, nowMs: number): void;
  /** Returns the names of all open sources. */
  sources(): string[];

  /**
   * Adds or replaces a registration of `source`.
   * @throws {MergeError} `UNKNOWN_SOURCE`; `DIRECTORY_FULL` or `MEMORY_FULL` when the source has no room for a new registration,
   * or for one that grows: what was there before stays.
   */
  put(source: string, registration: Registration, nowMs: number): void;
  /** Renews a registration without other changes; false if it does not exist. */
  renew(source: string, href: string, times: RenewalTimes, nowMs: number): boolean;
  /** Removes a record. Returns whether there was one. */
  remove(source: string, href: string, nowMs: number, cause?: "removed" | "expired"): boolean;
  /** Returns the record of a source with this href. */
  get(source: string, href: string): SourcedRegistration | undefined;
  /** Iterates over the hrefs of all records of a source. */
  hrefs(source: string): IterableIterator<string>;
  /** Whether a source has a record with this href. */
  has(source: string, href: string): boolean;

  /**
   * Removes records that have ended by `nowMs`: exact ones, and assumed ones of sources that are not connected. Returns how many.
   * Examines `atMost` records; `nextExpiryMs` says whether there are more.
   */
  expire(nowMs: number, atMost?: number): number;
  /** Returns the earliest time at which `expire` may have work, or undefined. */
  nextExpiryMs(): number | undefined;

  /** Returns the registration that a key shows, or undefined. */
  winner(ep: string, d: string | undefined): SourcedRegistration | undefined;
  /** Returns sources and renewal times of the live registrations of a key, in no order; cheaper than `candidates`. */
  renewals(ep: string, d: string | undefined, nowMs: number): SourcedRenewal[];
  /** Whether one of them, shown or not, matches a query of a client in `zone`. */
  isMatch(ep: string, d: string | undefined, renewal: SourcedRenewal, query: LookupQuery, zone?: string): boolean;
  /** Returns every live record of a key, the winner first, in the order of rule 1. */
  candidates(ep: string, d: string | undefined): SourcedRegistration[];
  /** Iterates over all records with their state, in a stable order; for operators. */
  inspect(): IterableIterator<{ registration: SourcedRegistration; state: RegistrationState; stale: boolean }>;

  /**
   * Performs a lookup (RFC 9176 section 6) over the visible union, lazily, in one stable total order that does not depend on
   * arrival; `page` and `count` of the query are applied. Records past their end at `nowMs` are not shown even before `expire`.
   * It may be read while the directory changes, until a source is closed.
   * @throws {MergeError} `SOURCE_CLOSED`, while it is read
   */
  lookup(kind: LookupInterface, query: LookupQuery, nowMs: number, options?: LookupOptions): IterableIterator<Link>;
  /** The same, with null after each small step of work: there a caller may pause. */
  lookupInSteps(
    kind: LookupInterface,
    query: LookupQuery,
    nowMs: number,
    options?: LookupOptions,
  ): IterableIterator<Link | null>;
  /**
   * The same for a selective lookup, at once, as text in link format; null if it is not selective, or if link format cannot express
   * all of it.
   */
  lookupText(kind: LookupInterface, query: LookupQuery, nowMs: number, options?: LookupOptions): string | null;
  /** Iterates over the visible registrations of an endpoint lookup, lazily, in the same order, without paging. */
  select(query: LookupQuery, nowMs: number, options?: LookupOptions): IterableIterator<SourcedRegistration>;

  /** Returns the numbers of records, of one source or of all. */
  counts(source?: string): DirectoryCounts;
  /**
   * A digest of everything that is shown, 12 hexadecimal digits, kept up with every change: two directories that show the same
   * registrations have the same one, whatever they call their sources and however they reach them.
   */
  readonly digest: string;
  /** Returns the weight of a registration in the limit of bytes; 0 if there is none. */
  weight(source: string, href: string): number;
}

/** Limits of all records of a directory together. */
export interface DirectoryLimits {
  readonly registrations: SharedLimit;
  /** Bytes of heap, as estimated by `recordWeight`. */
  readonly memory: SharedLimit;
}

/** Settings of `createDirectory`. */
export interface DirectoryOptions {
  /** Most registrations over all sources, or how they are shared. Default 1 000 000. */
  readonly maxRegistrations?: number | SharedLimit;
  /** Bytes of heap that the registrations of all sources may take; see `recordWeight`. Default: no limit. */
  readonly memory?: SharedLimit;
}
