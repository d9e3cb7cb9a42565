import type { Criterion, Link } from "@tributary/link-model";

/** A checked configuration: every default filled in, times in milliseconds, URIs and criteria parsed. */
export interface NodeConfig {
  readonly name: string;
  /** Listener URIs, at least one. */
  readonly listen: readonly string[];
  /** Host and port of the HTTP side, or null when disabled. */
  readonly http: { readonly host: string; readonly port: number } | null;
  /** Present: this node is a lookup proxy. */
  readonly lookup?: LookupConfig;
  /** Present: this node is an RD. */
  readonly registration?: RegistrationConfig;
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
  readonly mode: "replicate" | "forward";
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
}

export interface RegistrationConfig {
  readonly store: StoreConfig;
  /** `loopback`, `private`, `any`, or CIDR blocks. */
  readonly replicas: readonly string[];
  /** `echo`: changes need an Echo value made lately (RFC 9176 section 5.3.4). */
  readonly freshness: "none" | "echo";
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
  readonly registrationBytes: number;
  readonly observers: number;
  readonly exchanges: number;
  readonly transfers: number;
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
