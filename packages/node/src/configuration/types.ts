import type { Criterion, Link } from "@tributary/link-model";

/** A checked configuration: every default filled in, times in milliseconds, URIs and criteria parsed. */
export interface NodeConfig {
  readonly name: string;
  /** Listener URIs, at least one. */
  readonly listen: readonly string[];
  /** Host and port of the HTTP side, or null when disabled. */
  readonly http: { readonly host: string; readonly port: number } | null;
  /** Further names by which HTTP clients may address this node, in the Host field. */
  readonly httpNames: readonly string[];
  /** Present: this node is a lookup proxy. */
  readonly lookup?: LookupConfig;
  /** Present: this node is an RD. */
  readonly registration?: RegistrationConfig;
  /** Present: this node shares an address with others (draft 6.2.2). */
  readonly anycast?: AnycastConfig;
  readonly advertise: readonly Link[];
  /** Folder, absolute, in which replicas are kept across restarts; absent: they are not. */
  readonly snapshot?: string;
  readonly amplification: AmplificationConfig;
  readonly limits: LimitsConfig;
  readonly log: LogConfig;
}

export interface UpstreamConfig {
  readonly name: string;
  readonly uri: string;
  readonly mode: "replicate" | "forward" | "auto";
  /** It is a lookup proxy: all that it knows is followed. */
  readonly isTier: boolean;
  /** Other names under which it writes its own URIs: origins. */
  readonly authorities: readonly string[];
  /** Discovery may lead to other hosts. */
  readonly elsewhere: boolean;
  readonly filters: readonly (readonly Criterion[])[];
  readonly timeoutMs: number;
  readonly assumedLifetimeMs: number;
  readonly defaultSector?: string;
  readonly pollMs: number;
}

export interface LookupConfig {
  readonly upstreams: readonly UpstreamConfig[];
  readonly timeoutMs: number;
  /** Requests to upstreams under way at once, over all lookups. */
  readonly concurrency: number;
  readonly onPartial: "serve" | "fail";
  /** How many of the own registrations and the upstreams must be answered for. */
  readonly ready: "all" | "any" | number;
  /** Proxies that may follow this one, where it is no RD: `loopback`, `private`, `any`, or CIDR blocks. */
  readonly replicas: readonly string[];
  readonly cache: CacheConfig;
  readonly auto: AutoConfig;
}

/** When upstreams in mode `auto` replicate a family of lookups (draft 4.3). */
export interface AutoConfig {
  /** Different lookups of a family within the window. */
  readonly threshold: number;
  readonly windowMs: number;
  /** A family that nobody asks for is dropped after this. */
  readonly coldMs: number;
  /** Registrations held per upstream. */
  readonly budget: number;
  /** Families per upstream. */
  readonly families: number;
}

/** Answers of upstreams that are only asked (draft 4.2). */
export interface CacheConfig {
  readonly entries: number;
  readonly bytes: number;
  /** How long past its Max-Age an answer is served while its upstream does not answer. */
  readonly staleMs: number;
  /** Times within its Max-Age that an answer is served before it is observed; 0: none is. */
  readonly observeAfter: number;
  readonly observations: number;
}

export interface RegistrationConfig {
  readonly store: StoreConfig;
  /** `loopback`, `private`, `any`, or CIDR blocks. */
  readonly replicas: readonly string[];
  /** `echo`: changes need an Echo value made lately (RFC 9176 section 5.3.4). */
  readonly freshness: "none" | "echo";
}

/** The other nodes with the shared address, and how requests are forwarded to them (draft 6.2.2). */
export interface AnycastConfig {
  /** In order of closeness, at least one. */
  readonly peers: readonly AnycastPeerConfig[];
  readonly timeoutMs: number;
  readonly failoverMs: number;
  /** `echo`: changes are forwarded only with an Echo value made lately (RFC 9176 section 5.3.4). */
  readonly freshness: "none" | "echo";
  /** Forwarded requests under way at once. */
  readonly concurrency: number;
}

export interface AnycastPeerConfig {
  readonly name: string;
  readonly uri: string;
  /** It is an RD. */
  readonly registration: boolean;
  /** It is a lookup proxy. */
  readonly lookup: boolean;
}

/** Where registrations are kept; `path` is absolute. */
export type StoreConfig = { readonly kind: "memory" } | { readonly kind: "lmdb"; readonly path: string };

/** Answers to senders that may be others than they say (RFC 9175 section 2.4). */
export interface AmplificationConfig {
  /** Largest answer that anybody gets, in bytes of UDP payload. */
  readonly freeBytes: number;
  /** Who is asked for nothing: `loopback`, `private`, `any`, or CIDR blocks. */
  readonly trusted: readonly string[];
}

export interface LimitsConfig {
  readonly registrations: number;
  /** Bytes of heap for what is kept of registrations and responses; absent: a share of the heap. */
  readonly memory?: number;
  readonly registrationBytes: number;
  readonly observers: number;
  /** Of these, of one IPv4 address or one /64 of IPv6. */
  readonly observersPerClient: number;
  readonly exchanges: number;
  readonly transfers: number;
  /** Answers remembered for those who ask the same again, per listener address. */
  readonly answers: number;
  readonly verifiedPeers: number;
  /** Of `coap+tcp`, per listener; see StreamLimits. */
  readonly connections: number;
  readonly connectionsPerAddress: number;
  readonly messageBytes: number;
  readonly queueBytes: number;
  readonly connectionRequests: number;
}

export interface LogConfig {
  readonly level: "error" | "warn" | "info" | "debug";
  readonly format: "text" | "json";
}
