import type { Criterion } from "@tributary/link-model";
import type { RecordLimits, Registration, RenewalTimes } from "@tributary/merge-engine";
import type { EntryFault } from "./entry-fault.js";
import type { StagingMemory } from "./staging-memory.js";
import type { AskedAt, RemoteClock } from "./time/remote-clock.js";
import type { WallClock } from "./time/renewal-age.js";
import type { Version } from "./version.js";

/** The two feeds of an RD (draft 6.2): endpoint records by `href=/*`, links by `provenance=/*`. */
export type FeedKind = "ep" | "res";

/** What happened to one registration of the RD. */
export interface LoggedChange {
  readonly href: string;
  readonly kind: "added" | "replaced" | "renewed" | "removed";
  readonly endpointChanged: boolean;
  readonly linksChanged: boolean;
}

/** One notification: a JSON Patch (RFC 6902) and the version it leads to. */
export interface FeedPatch {
  readonly text: string;
  readonly byteLength: number;
  readonly version: Version;
  /** The document is complete after this patch. */
  readonly complete: boolean;
  /** See {@link FeedCursor.copyBegan}. */
  readonly copyBegan: number;
}

/** Where one subscriber of one feed stands. Owned by the caller, advanced only when a patch was delivered. */
export interface FeedCursor {
  readonly kind: FeedKind;
  readonly filter: readonly Criterion[];
  /** Version that the subscriber holds; null: nothing, the next patch starts from the beginning. */
  readonly version: Version | null;
  /** Whether the subscriber is known to have held the complete document at `version`. */
  readonly isComplete: boolean;
  /** Counter at which its copy began with nothing, 0 when that is not known: what was removed before, it never held. */
  readonly copyBegan: number;
}

/** Reads the current registrations of the RD while a patch is made. */
export interface FeedSource {
  /** Returns the registration with this href. */
  get(href: string): Registration | undefined;
  readonly nowMs: number;
  /** 24-bit number that tells this run of the clock behind `nowMs` apart; absent: patches carry no reading of it. */
  readonly clockRun?: number;
  /** The wall clock of the RD; absent: not reported, and renewals are reported to the second. */
  readonly wallClock?: WallClock;
}

/** Settings of `createChangeLog`. */
export interface ChangeLogOptions {
  /** 24-bit number that differs from that of any earlier history. */
  readonly epoch: number;
  /** Counter to go on from (a persisted history), default 0. */
  readonly counter?: number;
  /** Removals remembered; an older cursor starts from the beginning. Default 100 000. */
  readonly maxTombstones?: number;
  /** What was kept of this history, whose counters are not above `counter`; absent: nothing is known before `counter`. */
  readonly kept?: RememberedHistory;
  /** A removal is remembered no longer: cursors before `horizon` start from the beginning. */
  readonly onForgotten?: (href: string, horizon: number) => void;
}

/** Where a registration stands in a history. All numbers are counters of its versions; 0: never. */
export interface LogPosition {
  readonly href: string;
  readonly created: number;
  readonly ep: number;
  readonly res: number;
  readonly renewed: number;
  readonly isRemoved: boolean;
  readonly cameBack: boolean;
}

/** A history as it was kept across a restart. */
export interface RememberedHistory {
  readonly horizon: number;
  readonly positions: Iterable<LogPosition>;
}

/** The history of an RD, compacted by registration: its latest change only. Pure. */
export interface ChangeLog {
  readonly head: Version;
  /** Where a registration stands, to be kept; undefined when the log knows nothing of it. */
  position(href: string): LogPosition | undefined;
  /** Every registration that the log knows as not removed. */
  present(): IterableIterator<string>;
  /**
   * Adds a change to the history. `position`: its counter, not below that of any change before it, where something else counts; then
   * counters may be left out, and a removal is remembered also of a registration that was never recorded.
   */
  record(change: LoggedChange, position?: number): void;
  /** Whether a subscriber at `cursor` can go on from there: no removal that concerns it has been forgotten. */
  canContinue(cursor: FeedCursor): boolean;
  /** A cursor for a subscriber that says it holds `held` (its ETag); starts from the beginning when that is unknown or too old. */
  open(kind: FeedKind, filter: readonly Criterion[], held: Version | null): FeedCursor;
  /** Whether there is something to send. O(1). */
  hasNews(cursor: FeedCursor): boolean;
  /** The next patch for a cursor, at most `maxBytes` unless one registration alone is larger; null when nothing is new. */
  nextPatch(cursor: FeedCursor, source: FeedSource, maxBytes: number): FeedPatch | null;
  /** The cursor after `patch` was delivered. */
  advance(cursor: FeedCursor, patch: FeedPatch): FeedCursor;
}

/** The registrations that a reader has delivered before, so that patches can refer to them. */
export interface HeldRegistrations {
  /** Returns the registration with this href. */
  get(href: string): Registration | undefined;
  /** Iterates over the hrefs of all registrations. */
  hrefs(): Iterable<string>;
}

/** A change to make to the replica, in order. */
export type CopyChange =
  | { readonly kind: "put"; readonly registration: Registration }
  | ({ readonly kind: "renew"; readonly href: string } & RenewalTimes)
  | { readonly kind: "remove"; readonly href: string }
  /** The RD holds it, and there is no memory for it; about so many bytes would be needed. */
  | { readonly kind: "leave-out"; readonly href: string; readonly weight: number };

/** What a document of a feed led to. */
export type FeedOutcome =
  | {
      readonly kind: "applied";
      readonly changes: readonly CopyChange[];
      /** Both feeds are complete: the replica equals the RD. */
      readonly isComplete: boolean;
      /** Records that were left out, with the reason; the rest is applied. */
      readonly problems: readonly string[];
    }
  /** The patch builds on another version than the one held: ask again with the held version. */
  | { readonly kind: "gap"; readonly expected: string }
  /** Not a feed patch: nothing was applied. */
  | { readonly kind: "malformed"; readonly message: string };

/** Settings of `createFeedReader`. */
export interface FeedReaderOptions {
  /** Stands in for the lifetime of records that report none, ms. */
  readonly assumedLifetimeMs: number;
  /** Sector given to records without `d`; absent: none. */
  readonly defaultSector?: string;
  /** What one registration may have; beyond it, it is left out. Default: `DEFAULT_RECORD_LIMITS` of the merge engine. */
  readonly limits?: RecordLimits;
  /** The feed is that of a proxy: records may come from elsewhere, and those that came through this node are left out. */
  readonly tier?: { readonly nodeId: string };
  /** What is known of the RD's clock, shared by all readers of one RD; default: one of its own. */
  readonly clock?: RemoteClock;
  /** Registrations of which only one feed has sent its half; beyond it a patch is refused. Default 1 048 576. */
  readonly maxStaged?: number;
  /** Lends memory for halves whose other half has not come yet; without it entries are left out. Default: no bound. */
  readonly memory?: StagingMemory;
}

/** Where a reader stands in both feeds. */
export interface FeedPosition {
  readonly ep: Version;
  readonly res: Version;
}

/** Entries of a feed that were left out for one reason. */
export interface FeedFault {
  readonly count: number;
  /** The first of them, in words. */
  readonly example: string;
}

/** The LP's end of both feeds of one RD. Pure; changes no replica itself. */
export interface FeedReader {
  /** Where another reader could go on with what was handed out so far; null while something waits, or is incomplete. */
  position(): FeedPosition | null;
  /** Go on from the position of another reader, whose changes are all held. Before anything is applied. */
  resume(position: FeedPosition): void;
  /** Returns the version that a document of the feed has been followed to; null before the first one. */
  version(kind: FeedKind): Version | null;
  /** Whether everything of the initial sync has arrived. */
  isComplete(kind: FeedKind): boolean;
  /** Entries that both feeds have now and that were left out, by what is wrong with them. */
  faults(): ReadonlyMap<EntryFault, FeedFault>;
  /**
   * Apply one notification received at `receivedAtMs` (monotonic). All of it or nothing.
   */
  apply(
    kind: FeedKind,
    patch: Uint8Array | string,
    receivedAtMs: number,
    held: HeldRegistrations,
    asked?: AskedAt,
  ): FeedOutcome;
  /**
   * The same in small steps. Until the last one nothing else may be asked of this reader but `version`, and `held` may change
   * only in its times.
   */
  applyInSteps(
    kind: FeedKind,
    patch: Uint8Array | string,
    receivedAtMs: number,
    held: HeldRegistrations,
    asked?: AskedAt,
  ): Generator<void, FeedOutcome>;
  /**
   * Notes that the RD has nothing newer than `version` (2.03): if that is held, the feed is complete, whether or not a patch said so.
   * In small steps, as above.
   */
  confirmInSteps(kind: FeedKind, version: Version, held: HeldRegistrations): Generator<void, FeedOutcome>;
  /** Move the times of what was read but not handed out yet, because the RD's clock is known better now. */
  shift(ms: number): void;
  /** Discards halves whose other half has not come, and returns their memory: nothing is read any more. */
  discard(): void;
  /** Forget the position of a feed, so that the next request starts from the beginning; what was delivered stays until replaced. */
  restart(kind?: FeedKind): void;
}
