import type { PeerStatus } from "@tributary/anycast-forwarding";
import type {
  CoapClient,
  CoapListener,
  RequestHandler,
  TableSizes,
  TransportCounters,
} from "@tributary/coap-transport";
import type { Directory, LimitUse } from "@tributary/merge-engine";
import type { FeedHistory, RegistrationStore } from "@tributary/resource-directory";
import type { Environment } from "@tributary/runtime";
import type { ReplicaStore, UpstreamStatus } from "@tributary/upstream-sync";
import type { NodeConfig } from "../configuration/types.js";

/** A listener with what it counts, and how much is in its tables. */
export type NodeListener = CoapListener & { readonly counters: TransportCounters; tableSizes(): TableSizes };

/** How a node reaches the network; real sockets in `serve`, virtual ones in simulations. */
export interface NodeNetwork {
  /** Bind one listener URI of the configuration. Rejects with TransportError BIND_FAILED. */
  listen(uri: string, handler: RequestHandler): Promise<NodeListener>;
  openClient(): Promise<CoapClient>;
}

/** A running node: RD, LP or both, without HTTP and process concerns. */
export interface Node {
  readonly name: string;
  /** Bound listener URIs with real ports. */
  readonly listening: readonly string[];
  readonly directory: Directory;
  upstreams(): readonly UpstreamStatus[];
  /** Lookups are answered, as far as `lookup.ready` asks for, and every upstream of the start was tried. */
  isReady(): boolean;
  /** Apply a new configuration's upstreams; what is unchanged keeps running. Says what was done. */
  reload(config: NodeConfig): Promise<ReloadSummary>;
  readonly counters: NodeCounters;
  /** The nodes with the same address, as far as requests were forwarded to them (draft 6.2.2). */
  peers?(): readonly PeerStatus[];
  /** What was lost of kept state at this start; empty: nothing. */
  damage?(): NodeDamage;
  /** Entries by table, over all listeners and the RD: what is bounded, and stays so. */
  tableSizes(): TableSizes;
  /** What is kept in memory, bytes, by source; and what there is room for. */
  memory(): LimitUse;
  /** Registrations that are valid and on disk only, for want of memory. */
  readonly onDisk: number;
  /** Observe counters as they change. */
  onLookup(listener: (sample: LookupSample) => void): () => void;
  close(): Promise<void>;
}

export interface ReloadSummary {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
  readonly kept: readonly string[];
  /** Settings that differ but take effect only after a restart. */
  readonly needRestart: readonly string[];
}

export interface LookupSample {
  readonly interface: "ep" | "res";
  readonly answer: "local" | "cached" | "forwarded" | "partial" | "error";
  readonly durationMs: number;
}

/** Monotonic counters for metrics. */
export interface NodeCounters {
  /** By cause of the eviction or expiry: superseded, removed, expired, source-closed. */
  readonly evictions: ReadonlyMap<string, number>;
  /** By cause: refusals of the RD, of the transport, records left out by upstream-sync. */
  rejected(): ReadonlyMap<string, number>;
  /** Of the response cache, by what became of a lookup or request, see `CacheOutcome`. */
  cache(): ReadonlyMap<string, number>;
  readonly transport: readonly TransportCounters[];
}

/** What a node keeps across restarts; without it everything is in memory. */
export interface NodeState {
  readonly openRegistrations?: () => Promise<{
    readonly store: RegistrationStore;
    readonly history: FeedHistory;
    readonly rejected: ReadonlyMap<string, number>;
    readonly damage?: StateDamage;
  }>;
  readonly openReplicas?: () => Promise<
    ReplicaStore & { readonly rejected?: ReadonlyMap<string, number>; readonly damage?: StateDamage }
  >;
}

/** What was lost of kept state at this start. */
export interface StateDamage {
  readonly problem: string;
  readonly kept: number;
  /** Records that are missing; undefined: it cannot be told how many. */
  readonly leftOut: number | undefined;
  /** Where the damaged folder is now. */
  readonly setAside: string;
}

/** By what it was damage of: the setting that names the folder. */
export type NodeDamage = Readonly<Partial<Record<"registration.store" | "snapshot", StateDamage>>>;

export interface NodeDeps {
  /** Bytes that the heap of the process may grow to; absent: `limits.memory` alone bounds what is kept. */
  readonly heapLimit?: number;
  readonly state?: NodeState;
  readonly env: Environment;
  readonly network: NodeNetwork;
  /** Random identity of this process, 16 hexadecimal digits. */
  readonly nodeId: string;
}
