import type { Criterion, Link } from "@tributary/link-model";
import type { ProxyLimits } from "@tributary/resource-directory";
import type { TlsConfig, UpstreamTlsConfig } from "../credentials/types.js";

/** A checked configuration: every default filled in, times in milliseconds, URIs and criteria parsed. */
export interface NodeConfig {
  readonly name: string;
  /** Listener URIs, at least one. */
  readonly listen: readonly string[];
  /** Address of the HTTP interface; null: disabled. */
  readonly http: { readonly host: string; readonly port: number } | null;
  /** Further names by which HTTP clients may address this node, in the Host field. */
  readonly httpNames: readonly string[];
  /** Origins whose scripts may read what HTTP requests return, e.g. `https://dash.example.com`; `*`: all. */
  readonly httpOrigins: readonly string[];
  /** Present: this node is a lookup proxy. */
  readonly lookup?: LookupConfig;
  /** Present: this node is an RD. */
  readonly registration?: RegistrationConfig;
  /** Present: this node shares an address with others (draft 6.2.2). */
  readonly anycast?: AnycastConfig;
  /** Present: this node is in a pool of RDs (draft 6.3). */
  readonly global?: GlobalConfig;
  readonly advertise: readonly Link[];
  /** Certificates and keys of this node for `coaps+tcp`. */
  readonly tls?: TlsConfig;
  /** Security contexts of this node (RFC 8613). */
  readonly oscore?: OscoreConfig;
  /** Absolute path of the folder for copies of upstreams; absent: copies are not stored. */
  readonly snapshot?: string;
  readonly amplification: AmplificationConfig;
  readonly limits: LimitsConfig;
  readonly log: LogConfig;
}

/** OSCORE, key `oscore` in the file. */
export interface OscoreConfig {
  /** Absolute path of the folder with one folder for each context. */
  readonly contexts: string;
}

/** One upstream, an item of `lookup.upstreams` in the file. */
export interface UpstreamConfig {
  readonly name: string;
  /** By which it is known. */
  readonly uri: string;
  /** All of its URIs, that one first; one of them is in use. */
  readonly uris: readonly [string, ...string[]];
  readonly mode: "replicate" | "forward" | "auto";
  /** How its feed is read, see `UpstreamOptions`. */
  readonly transport: "auto" | "udp" | "tcp";
  /** Whether it is a lookup proxy, of which everything is followed. */
  readonly isTier: boolean;
  /** Further origins that it uses in its own URIs. */
  readonly authorities: readonly string[];
  /** Whether discovery may lead to other hosts. */
  readonly elsewhere: boolean;
  readonly filters: readonly (readonly Criterion[])[];
  readonly timeoutMs: number;
  readonly assumedLifetimeMs: number;
  readonly defaultSector?: string;
  readonly pollMs: number;
  /** Absent: that of the node. */
  readonly tls?: UpstreamTlsConfig;
  /** Name of the security context that protects requests to it (RFC 8613). Absent: they are not protected. */
  readonly oscore?: string;
  /** How often that context has got other keys while the node runs; each time the upstream is followed again. Absent: never. */
  readonly contextVersion?: number;
}

/** The lookup proxy, key `lookup` in the file. */
export interface LookupConfig {
  readonly upstreams: readonly UpstreamConfig[];
  readonly timeoutMs: number;
  /** Concurrent requests to upstreams, over all lookups. */
  readonly concurrency: number;
  readonly onPartial: "serve" | "fail";
  /** How many of the sources (upstreams and own registrations) must be available. */
  readonly ready: "all" | "any" | number;
  /** Proxies that may follow this one if it is not an RD: `loopback`, `private`, `any`, or CIDR blocks. */
  readonly replicas: readonly string[];
  readonly cache: CacheConfig;
  readonly auto: AutoConfig;
}

/** When upstreams in mode `auto` replicate a family of lookups (draft 4.3). */
export interface AutoConfig {
  /** Number of different lookups of a family within the window. */
  readonly threshold: number;
  readonly windowMs: number;
  /** A family without lookups is dropped after this. */
  readonly coldMs: number;
  /** Registrations per upstream. */
  readonly budget: number;
  /** Families per upstream. */
  readonly families: number;
}

/** The response cache for upstreams that are not replicated (draft 4.2). */
export interface CacheConfig {
  readonly entries: number;
  readonly bytes: number;
  /** How long a stale response is served while its upstream does not respond. */
  readonly staleMs: number;
  /** Cache hits within Max-Age after which a response is observed; 0: never. */
  readonly observeAfter: number;
  readonly observations: number;
}

/** The RD, key `registration` in the file. */
export interface RegistrationConfig {
  readonly store: StoreConfig;
  /** `loopback`, `private`, `any`, or CIDR blocks. */
  readonly replicas: readonly string[];
  /** `echo`: changes need a fresh Echo value (RFC 9176 section 5.3.4). */
  readonly freshness: "none" | "echo";
  /** Present: endpoints are proxied that ask for it (draft 6.3). */
  readonly proxy?: ProxyConfig;
}

/** The reverse proxy for endpoints, key `registration.proxy` in the file. */
export interface ProxyConfig {
  /** A port for each endpoint, or a name for each in a domain; one of the two. */
  readonly naming:
    | { readonly kind: "ports"; readonly from: number; readonly to: number; readonly host?: string }
    | { readonly kind: "names"; readonly domain: string };
  readonly graceMs: number;
  readonly timeoutMs: number;
  /** TCP connections of clients on the ports of all endpoints, and on that of one. */
  readonly connections: number;
  readonly endpointConnections: number;
  readonly limits: ProxyLimits;
}

/** The pool of RDs that do not trust each other, key `global` in the file (draft 6.3). */
export interface GlobalConfig {
  readonly pool: {
    /** IPv4 address and port, by which the others know this node. */
    readonly listen: HostAndPort;
    readonly bootstrap: readonly HostAndPort[];
    /** Announcements kept for others. */
    readonly records: number;
  };
  /** Absolute path of the file with the key of this node; absent: another key after each start. */
  readonly key?: string;
  /** Which registrations are announced. */
  readonly names: "all" | "proxied";
  /** CoAP URIs by which this node is reached; absent: those of its listeners. */
  readonly addresses?: readonly string[];
  /** Addresses that may be asked besides those of the Internet: `loopback`, `private`, `any`, or CIDR blocks. */
  readonly allow: readonly string[];
  /** Announcements per second. */
  readonly rate: number;
  /** Time after which names are announced again. */
  readonly refreshMs: number;
  readonly timeoutMs: number;
}

/** An IPv4 address and a port. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** The anycast peers, and how requests are forwarded to them (draft 6.2.2). */
export interface AnycastConfig {
  /** Closest first, at least one. */
  readonly peers: readonly AnycastPeerConfig[];
  readonly timeoutMs: number;
  readonly failoverMs: number;
  /** `echo`: changes are forwarded only with a fresh Echo value (RFC 9176 section 5.3.4). */
  readonly freshness: "none" | "echo";
  /** Concurrent forwarded requests. */
  readonly concurrency: number;
}

export interface AnycastPeerConfig {
  readonly name: string;
  readonly uri: string;
  /** Whether it is an RD. */
  readonly registration: boolean;
  /** Whether it is a lookup proxy. */
  readonly lookup: boolean;
}

/** The store of registrations; paths are absolute. */
export type StoreConfig =
  | { readonly kind: "memory" }
  | { readonly kind: "lmdb"; readonly path: string }
  | ({ readonly kind: "nats" } & NatsConfig);

/** The servers of NATS by which several instances share their registrations (draft 4.1). */
export interface NatsConfig {
  /** URLs `nats://host:port` or `tls://host:port`, at least one. */
  readonly servers: readonly string[];
  readonly stream: string;
  /** Servers that keep each registration. */
  readonly replicas: number;
  /** File with a JWT and its seed. */
  readonly credentials?: string;
  readonly user?: string;
  readonly passwordFile?: string;
  /** Folder of the writes that are taken while the servers are away (`partition: accept`); absent: they are refused. */
  readonly journal?: string;
  /** URLs of the monitoring ports, for `check --connect`. */
  readonly monitoring?: readonly string[];
  /** Files in PEM. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

/** Amplification limit for clients with unproven source addresses (RFC 9175 section 2.4). */
export interface AmplificationConfig {
  /** Largest response without proof of the source address, in bytes of UDP payload. */
  readonly freeBytes: number;
  /** Clients whose source address needs no proof: `loopback`, `private`, `any`, or CIDR blocks. */
  readonly trusted: readonly string[];
}

/** Limits, key `limits` in the file. */
export interface LimitsConfig {
  readonly registrations: number;
  /** Bytes of heap for registrations and cached responses; absent: a share of the heap. */
  readonly memory?: number;
  readonly registrationBytes: number;
  readonly observers: number;
  /** Observers per IPv4 address or per /64 of IPv6. */
  readonly observersPerClient: number;
  readonly exchanges: number;
  readonly transfers: number;
  /** Remembered responses for repeated requests, per listener address. */
  readonly answers: number;
  readonly verifiedPeers: number;
  /** Of `coap+tcp`, per listener; see StreamLimits. */
  readonly connections: number;
  readonly connectionsPerAddress: number;
  readonly handshakes: number;
  readonly handshakesPerAddress: number;
  readonly messageBytes: number;
  readonly queueBytes: number;
  readonly connectionRequests: number;
  readonly connectionRequestBytes: number;
}

/** The log, key `log` in the file. */
export interface LogConfig {
  readonly level: "error" | "warn" | "info" | "debug" | "trace";
  readonly format: "text" | "json";
}
