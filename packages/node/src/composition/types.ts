import type { PeerStatus } from "@tributary/anycast-forwarding";
import type {
  CoapClient,
  CoapListener,
  Peer,
  RequestHandler,
  SharedConnections,
  TableSizes,
  TransportCounters,
} from "@tributary/coap-transport";
import type { GlobalLookup, GlobalLookupStatus } from "@tributary/global-lookup";
import type { Directory, LimitUse } from "@tributary/merge-engine";
import type {
  FeedHistory,
  Follower,
  ProxyView,
  RegistrationStore,
  RequestCount,
  StoredRegistration,
} from "@tributary/resource-directory";
import type { Environment } from "@tributary/runtime";
import type { CopyStore, UpstreamStatus } from "@tributary/upstream-sync";
import type { NodeConfig } from "../configuration/types.js";
import type { GatewayLookups } from "./gateway-lookups.js";

/** What a listener has to know of the configuration. */
export interface NodeListenOptions {
  /** Peers that may replicate: feeds are sent to them under congestion control, to others one message at a time (RFC 7252 section 4.7). */
  readonly isConfigured: (peer: Peer) => boolean;
  /** Most TCP connections; absent: the configured limit. */
  readonly maxConnections?: number;
  /** Places that TCP connections take beside those of this listener. */
  readonly sharedConnections?: SharedConnections;
}

/** A listener with its counters and the sizes of its tables. */
export interface NodeListener extends CoapListener {
  readonly counters: TransportCounters;
  /** Returns the numbers of entries by table. */
  tableSizes(): TableSizes;
}

/** Access of a node to the network: real sockets in `serve`, virtual ones in simulations. */
export interface NodeNetwork {
  /** Binds one listener URI of the configuration. Rejects with TransportError BIND_FAILED. */
  listen(uri: string, handler: RequestHandler, options: NodeListenOptions): Promise<NodeListener>;
  /** Opens the client for requests to upstreams and peers. */
  openClient(): Promise<CoapClient>;
}

/** A running node: RD, LP or both, without HTTP and process concerns. */
export interface Node {
  readonly name: string;
  /** Bound listener URIs with real ports. */
  readonly listening: readonly string[];
  readonly directory: Directory;
  /** Returns the state of every upstream, in the order of the configuration. */
  upstreams(): readonly UpstreamStatus[];
  /** Whether lookups are served as far as `lookup.ready` requires, and every upstream of the start was tried. */
  isReady(): boolean;
  /** Applies the upstreams of another configuration. Upstreams that are unchanged continue undisturbed. */
  reload(config: NodeConfig): Promise<ReloadSummary>;
  readonly counters: NodeCounters;
  /** The anycast peers of this node (draft 6.2.2). */
  peers?(): readonly PeerStatus[];
  /** Those who follow the feeds of this node. */
  followers?(): readonly Follower[];
  /** The reverse proxy for endpoints (draft 6.3); null: this node has none. */
  proxy?(): Pick<ProxyView, "outcomes" | "bytes" | "ends"> | null;
  /** The pool of RDs that this node is in (draft 6.3); undefined: it is in none. */
  global?(): GlobalLookupStatus | undefined;
  /** Damage that was found in stored state at the start; empty: none. */
  damage?(): NodeDamage;
  /** The store that this RD shares with other instances; undefined: it has its own. */
  sharedStore?(): SharedStoreStatus | undefined;
  /** Calls `listener` for each registration that loses after a split of a shared store. */
  onDiscarded?(listener: (discarded: DiscardedRegistration) => void): void;
  /** Number of entries by table, over all listeners and the RD. Each table is bounded. */
  tableSizes(): TableSizes;
  /** Memory of the registrations, bytes, by source, and its limit. */
  memory(): LimitUse;
  /** Valid registrations that are only on disk, because there is no memory for them. */
  readonly onDisk: number;
  /** Lookups for other protocols; requests are of the class GatewayRequest. */
  readonly gatewayLookups: GatewayLookups;
  /** Calls `listener` after each lookup; returns the function that stops that. */
  onLookup(listener: (sample: LookupSample) => void): () => void;
  /** Serves what is under way for half a second, then closes everything. Idempotent. */
  close(): Promise<void>;
}

/** How a store of several instances works, as seen from this one. */
export interface SharedStoreStatus {
  /** Why it takes no writes, or delivers no changes; undefined: it works. */
  readonly awayReason?: string;
  /** Position of the last change that was applied. */
  readonly position: number;
  /** Changes that were stored and not applied at the last probe. */
  readonly lag: number;
  /** Probes by outcome. Monotonic. */
  readonly probes: { readonly succeeded: number; readonly failed: number };
  /** Submissions by outcome, see `StoreOutcome`. Monotonic. */
  readonly submissions: ReadonlyMap<string, number>;
  /** Where registrations are taken while it is away: those that it does not have yet, and what became of the others, by outcome. */
  readonly pending?: number;
  readonly settled?: ReadonlyMap<string, number>;
}

/** A registration, or a removal, that was acknowledged during a split of a shared store and lost against a later one. */
export interface DiscardedRegistration {
  readonly registration: Pick<StoredRegistration, "id" | "ep" | "d">;
  readonly what: "registration" | "removal";
  /** Whether this instance had taken it, or another one. */
  readonly takenBy: "here" | "elsewhere";
}

/** What a reload did, by names of upstreams. */
export interface ReloadSummary {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
  readonly kept: readonly string[];
  /** Settings that differ but take effect only after a restart. */
  readonly needRestart: readonly string[];
}

/** One lookup, for metrics. `answer`: where its result came from. */
export interface LookupSample {
  readonly interface: "ep" | "res";
  readonly answer: "local" | "cached" | "forwarded" | "partial" | "error";
  readonly durationMs: number;
}

/** Monotonic counters for metrics. */
export interface NodeCounters {
  /** Registrations that are no longer visible, by cause: superseded, removed, expired, source-closed. */
  readonly evictions: ReadonlyMap<string, number>;
  /** What was rejected by the RD, the transport and upstream-sync, by cause. */
  rejected(): ReadonlyMap<string, number>;
  /** Requests to the registration side of the RD, by operation and response code. */
  registrationRequests(): Iterable<RequestCount>;
  /** Lookups and requests of the response cache, by outcome, see `CacheOutcome`. */
  cache(): ReadonlyMap<string, number>;
  readonly transport: readonly TransportCounters[];
}

/** State that survives restarts; without it everything is only in memory. */
export interface NodeState {
  /** Opens the store of registrations. */
  readonly openRegistrations?: () => Promise<{
    readonly store: RegistrationStore;
    /** Absent where the store keeps the history of the feed itself. */
    readonly history?: FeedHistory;
    readonly rejected: ReadonlyMap<string, number>;
    readonly damage?: StateDamage;
    /** Where several instances share the store. */
    readonly sharedStore?: () => SharedStoreStatus;
    /** Calls `listener` for each registration that loses after a split. */
    readonly onDiscarded?: (listener: (discarded: DiscardedRegistration) => void) => void;
  }>;
  /** Opens the store of copies. */
  readonly openCopies?: () => Promise<
    CopyStore & { readonly rejected?: ReadonlyMap<string, number>; readonly damage?: StateDamage }
  >;
}

/** Damage that was found in stored state at the start. */
export interface StateDamage {
  readonly problem: string;
  readonly kept: number;
  /** Number of missing records; undefined: unknown. */
  readonly leftOut: number | undefined;
  /** Path of the damaged folder after it was set aside. */
  readonly setAside: string;
}

/** Damage by the setting that names the folder. */
export type NodeDamage = Readonly<Partial<Record<"registration.store" | "snapshot", StateDamage>>>;

/** Collaborators of `createNode`. */
export interface NodeDeps {
  /** Heap limit of the process, bytes. Absent: `limits.memory` has no default, and without it memory is not limited. */
  readonly heapLimit?: number;
  readonly state?: NodeState;
  /** Joins the pool that is configured as `global`; absent: the node joins none. */
  readonly openGlobal?: (deps: { readonly client: CoapClient }) => Promise<GlobalLookup>;
  readonly env: Environment;
  readonly network: NodeNetwork;
  /** Random identity of this process, 16 hexadecimal digits. */
  readonly nodeId: string;
}
