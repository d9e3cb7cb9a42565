import type { CoapClient } from "@tributary/coap-transport";
import type { Criterion, Link } from "@tributary/link-model";
import type { Directory, LookupInterface, RecordLimits } from "@tributary/merge-engine";
import type { Environment, Turns } from "@tributary/runtime";
import type { CopyStore, RestoredCopy } from "./copy-store.js";
import type { Discovered } from "./discovery/discovery.js";
import type { UpstreamError } from "./errors.js";
import type { LeftOutCause, Losses } from "./left-out.js";

/** `auto`: forward, and replicate the families of lookups that turn out to be frequent (draft 4.3). */
export type UpstreamMode = "replicate" | "forward" | "auto";

/** One upstream as configured. Times in ms. */
export interface UpstreamOptions {
  /** Name of the source in the directory; unique. */
  readonly name: string;
  /** Who its records count for in the limits of the directory; default: its name. */
  readonly account?: string;
  /** Origin of the RD, e.g. `coap://[2001:db8:23::1]`. */
  readonly uri: string;
  readonly mode: Exclude<UpstreamMode, "auto">;
  /** How its feed is read: by the scheme of `uri` (`udp`), by TCP, or by TCP where it offers that and it works. Default `auto`. */
  readonly transport?: "auto" | "udp" | "tcp";
  /** It is a lookup proxy: all that its lookups show is followed, not only what is registered at itself. */
  readonly isTier?: boolean;
  /** Other names under which this RD writes its own URIs: origins such as `coap://rd.example.com`. */
  readonly authorities?: readonly string[];
  /** Discovery may lead to hosts and ports that are no configured upstreams, default false. */
  readonly elsewhere?: boolean;
  /** Replicate only what matches all criteria of any of these conjunctions (draft 6.2.1); empty: everything. */
  readonly filters: readonly (readonly Criterion[])[];
  /** Deadline of one request, default 2000. */
  readonly timeoutMs: number;
  /** Stands in for lifetimes that the RD does not report, default 90 000 000. */
  readonly assumedLifetimeMs: number;
  /** Sector of endpoints that the RD shows without `d`, or the name it gives them by default mapped to none. */
  readonly defaultSector?: string;
  /** Mean interval of polling where Observe does not work, default 30 000. */
  readonly pollMs: number;
  /** Concurrent attribution requests, default 4. */
  readonly concurrency: number;
}

/** Result of probing one capability. `unknown` until it was tried. */
export type Capability = "yes" | "no" | "unknown";

/** What the upstream was found to be able to do (design section 4). */
export interface CapabilityReport {
  /** Lookup paths found by discovery, as absolute URIs. */
  readonly endpointLookup?: string;
  readonly resourceLookup?: string;
  readonly registration?: string;
  /** Speaks the feed (format 51) with this peer. `refused`: 4.03, not allowed to replicate. */
  readonly feed: Capability | "refused";
  readonly observe: Capability;
  readonly hrefFilter: Capability;
  readonly provenance: Capability;
  readonly lifetimeAge: Capability;
  readonly paging: Capability;
  readonly etag: Capability;
  /** How links are attributed to registrations: `provenance`, `href` (res?href=…), `ep` (res?ep=…&d=…), `resource` (GET of the registration), `base` (by their context, in the whole document). */
  readonly attribution?: "feed" | "provenance" | "base" | "href" | "ep" | "resource";
  /** Oddities seen, in words, for operators. Bounded. */
  readonly remarks: readonly string[];
}

/**
 * Where an upstream stands, as it is shown: what it is stays so while it is tried again.
 * `missing`: it cannot be followed or asked, and nothing complete was ever got from it. `stale`: it was live, and is lost; of a copy, the
 * last state is still there.
 */
export type UpstreamPhase =
  | "idle"
  | "discovering"
  | "probing"
  | "copying"
  | "live"
  | "stale"
  | "missing"
  | "refused"
  | "closed";

/** The state of an upstream for operators. */
export interface UpstreamStatus {
  readonly name: string;
  readonly uri: string;
  readonly mode: UpstreamMode;
  /** It is followed as a lookup proxy. */
  readonly isTier: boolean;
  readonly phase: UpstreamPhase;
  /** How the copy is kept: feed, observe, poll, or none in mode forward. */
  readonly method: "feed" | "observe" | "poll" | "none";
  /** How its feed is read; absent unless the method is `feed`. */
  readonly transport?: "udp" | "tcp";
  /** True when every query within the coverage can be answered from the copy (live, or stale after having been complete). */
  readonly isComplete: boolean;
  /** Every upstream counts as tried once its first attempt ended, whatever the outcome. */
  readonly wasTried: boolean;
  /** Conjunctions that the copy covers now; one empty conjunction: everything; none: nothing. */
  readonly coverage: readonly (readonly Criterion[])[];
  /** Sources of the directory that hold registrations of this RD. */
  readonly sources: readonly string[];
  /** Mode `auto`: what is replicated, in no order. */
  readonly families?: readonly FamilyStatus[];
  readonly registrations: number;
  /** Monotonic ms; absent: never. */
  readonly lastChangeMs?: number;
  readonly lastContactMs?: number;
  /** Estimated delay between a change at the RD and here, ms. */
  readonly lagMs?: number;
  /** Bytes received for replication, CoAP headers included. Monotonic. */
  readonly feedBytes: number;
  readonly capabilities: CapabilityReport;
  /** Why it is not live, in words. */
  readonly lastError?: string;
  readonly attempts: number;
  /** What the RD holds and this node does not show, now, by cause. Empty: nothing that is known of. */
  readonly leftOut: ReadonlyMap<LeftOutCause, number>;
  /** Conjunctions that are replicated, whether or not the copy is there yet. */
  readonly replicates: readonly (readonly Criterion[])[];
  /** The part of `coverage` that something is left out of: answers from there are partial. */
  readonly lossyCoverage: readonly (readonly Criterion[])[];
  /** What was ever left out, by cause, as metrics show it. Monotonic. */
  readonly rejected: ReadonlyMap<string, number>;
}

/** Lookups that differ in one or two criteria, replicated without those (draft 4.3). */
export interface FamilyStatus {
  /** What its lookups have in common. */
  readonly filter: readonly Criterion[];
  readonly phase: UpstreamPhase;
  readonly isComplete: boolean;
  readonly registrations: number;
  /** Of its last lookup, monotonic ms. */
  readonly usedAtMs: number;
}

/**
 * What one upstream leaves to another that takes its place for the same RD, in whatever phase it is: what is known of the RD,
 * so that it can be asked without a gap, and which part of what is held is complete.
 */
export interface Handover {
  readonly phase: UpstreamPhase;
  readonly found: Discovered | null;
  readonly capabilities: CapabilityReport;
  /** Conjunctions of which the source in the directory has everything. */
  readonly complete: readonly (readonly Criterion[])[];
  /** How its entries were read; read in another way they are others. */
  readonly reading: string;
  /** Where it is in the RD's feed, and for which filters; null when it followed no feed, or left out something of it. */
  readonly feed?: FeedHandover | null;
}

/** From here one that asks the RD for the same goes on without copying. */
export interface FeedHandover {
  readonly filters: readonly string[];
  readonly restored: RestoredCopy;
}

/** Collaborators of an upstream. */
export interface UpstreamDeps {
  readonly client: CoapClient;
  readonly directory: Directory;
  readonly env: Environment;
  /** Divides long work among turns of the event loop; default: those of the clock. */
  readonly turns?: Turns;
  /** What one registration of an upstream may have; beyond it, it is left out. Default: as for registrations here. */
  readonly recordLimits?: RecordLimits;
  /** Keeps replicas across restarts; absent: they are copied again. */
  readonly replicas?: CopyStore;
  /** Of the upstream in whose place this one comes, for the same RD. Its source is still in the directory. */
  readonly handover?: Handover;
  /** Whether an origin is that of a configured upstream, or of this node; absent: no origin is. */
  readonly isConfigured?: (origin: string) => boolean;
  /** Whether an origin is this node itself. */
  readonly isThisNode?: (origin: string) => boolean;
  /** Identity of this node, see `SELF_ATTRIBUTE`: used to refuse itself as upstream. */
  readonly nodeId: string;
}

/** Answer of an upstream to a forwarded lookup. Links are absolute, as from a copy. */
export interface AskedResult {
  readonly links: readonly Link[];
  /** Links that the upstream sent; more than `links` when it shows registrations of others as well. */
  readonly received: number;
  /** Seconds. */
  readonly maxAgeS: number;
  /** Entity tag that the upstream gave to it. */
  readonly etag?: Uint8Array;
  /** Size of its payload. */
  readonly bytes: number;
  /** What of it could not be taken: `links` are not all. */
  readonly losses: Losses;
}

/** The upstream says that what is held under the entity tag is what it would answer (2.03, RFC 7252 section 5.9.1.3). */
export interface UnchangedResult {
  readonly isUnchanged: true;
  /** Seconds. */
  readonly maxAgeS: number;
}

/** Takes what a lookup is answered with from now on. */
export interface AskedListener {
  /** Called with each result. */
  onResult(answer: AskedResult | UnchangedResult): void;
  /** It ended without being closed: the upstream does not observe it, or ended it, or is lost. */
  onEnd(error: UpstreamError): void;
}

/** A lookup that is observed at the upstream. */
export interface AskedObservation {
  /** Ask again, and go on observing (RFC 7641 section 3.3.1); `etag` names what is held by then. */
  refresh(etag?: Uint8Array): void;
  /** Nothing is reported any more. */
  close(): void;
}

/** What a lookup has to know of an upstream. Cheap to get, unlike the report of `status`. */
export interface UpstreamPlanning
  extends Pick<
    UpstreamStatus,
    "phase" | "mode" | "isTier" | "isComplete" | "coverage" | "replicates" | "lossyCoverage" | "sources" | "leftOut"
  > {
  readonly capabilities: Pick<CapabilityReport, "endpointLookup" | "paging" | "provenance" | "lifetimeAge">;
  /** It is being copied at length, and what is there of the copy is shown: a lookup of everything need not ask it for the rest. */
  readonly showsPart?: boolean;
  /** It decides by the lookups that take place what to copy (mode `auto`), so it has to know of each. */
  readonly countsLookups: boolean;
}

/** One followed RD. The shell of the state machine. */
export interface Upstream {
  readonly name: string;
  /** Starts following the upstream. */
  start(): void;
  /** Returns the state of the upstream for operators. */
  status(): UpstreamStatus;
  /** Returns the state of the upstream for lookups. */
  planning(): UpstreamPlanning;
  /** Ask the RD directly (mode forward, or outside the coverage), unless it still is what `etag` names. @throws {UpstreamError} */
  ask(
    kind: LookupInterface,
    items: readonly string[],
    control: { readonly signal?: AbortSignal; readonly etag?: Uint8Array },
  ): Promise<AskedResult | UnchangedResult>;
  /** The same with an observation (RFC 7641). */
  observe(
    kind: LookupInterface,
    items: readonly string[],
    listener: AskedListener,
    control?: { readonly etag?: Uint8Array },
  ): AskedObservation;
  /**
   * Resolves when the copy that will cover these criteria is complete or given up; undefined when there is none under way that
   * is worth waiting for.
   */
  copyUnderWay(criteria: readonly Criterion[]): Promise<void> | undefined;
  /** Takes note of a lookup with these criteria, wherever its result comes from. */
  noteLookup(criteria: readonly Criterion[]): void;
  /** Called after each change of status; returns the unsubscribe function. */
  onStatus(listener: (status: UpstreamStatus) => void): () => void;
  /** What one that takes its place for the same RD can go on from. Before `close`. */
  handOver?(): Handover;
  /**
   * End it: from the moment of the call nothing is written to the directory any more, and another upstream of the name may start.
   * `keepCopy`: what it holds stays in the directory, for one that follows the same RD. `isAbrupt`: no message goes to the RD,
   * which finds out when its next notification is rejected (RFC 7641 section 3.6); then this resolves without delay.
   */
  close(options?: { readonly keepCopy?: boolean; readonly isAbrupt?: boolean }): Promise<void>;
}
