import { hostname } from "node:os";
import { resolve } from "node:path";
import { DEFAULT_STREAM_LIMITS } from "@tributary/coap-transport";
import { DEFAULT_PROXY_LIMITS } from "@tributary/resource-directory";
import { derivedName } from "./cross-checks.js";
import { DEFAULT_LISTEN } from "./own-listeners.js";
import type { CheckedFile } from "./schema.js";
import { type CertificateFiles, certificateFiles, completeTls, completeUpstreamTls } from "./tls-settings.js";
import type {
  AnycastConfig,
  AutoConfig,
  CacheConfig,
  GlobalConfig,
  LimitsConfig,
  LookupConfig,
  NodeConfig,
  ProxyConfig,
  RegistrationConfig,
  StoreConfig,
  UpstreamConfig,
} from "./types.js";

const DEFAULT_HTTP = { host: "127.0.0.1", port: 8683 } as const;
const DEFAULT_TIMEOUT_MS = 2000;
/** Of a search in the pool: what nobody can answer is said within two seconds, also on a busy machine. */
const DEFAULT_SEARCH_TIMEOUT_MS = 1500;
const DEFAULT_CONCURRENCY = 16;
const DEFAULT_POLL_MS = 30_000;
/** Default `lt` (RFC 9176 section 5), ms. */
const DEFAULT_LIFETIME_MS = 90_000_000;
const DEFAULT_REPLICAS = ["loopback", "private"] as const;
/** Ports of proxied endpoints, below those that systems give to clients. */
const DEFAULT_PROXY_PORTS = { from: 10_000, to: 10_999 } as const;
const DEFAULT_PROXY_GRACE_MS = 60_000;
/** Below MAX_TRANSMIT_WAIT of the client (RFC 7252 section 4.8.2). */
const DEFAULT_PROXY_TIMEOUT_MS = 60_000;
const DEFAULT_ENDPOINT_CONNECTIONS = 8;
const DEFAULT_PROXIED_CONNECTIONS = 1024;
const DEFAULT_STREAM = "tributary";
/** Servers that keep each registration: one of them may fail. */
const DEFAULT_STREAM_REPLICAS = 3;
/** RFC 9175 section 2.4. */
const DEFAULT_FREE_BYTES = 136;
const DEFAULT_TRUSTED = ["loopback", "private"] as const;
const DEFAULT_LIMITS: LimitsConfig = {
  registrations: 1_000_000,
  registrationBytes: 65_536,
  observers: 10_000,
  observersPerClient: 2500,
  exchanges: 4096,
  transfers: 1024,
  answers: 32_768,
  verifiedPeers: 10_000,
  connections: DEFAULT_STREAM_LIMITS.maxConnections,
  connectionsPerAddress: DEFAULT_STREAM_LIMITS.maxConnectionsPerAddress,
  handshakes: DEFAULT_STREAM_LIMITS.maxHandshakes,
  handshakesPerAddress: DEFAULT_STREAM_LIMITS.maxHandshakesPerAddress,
  messageBytes: DEFAULT_STREAM_LIMITS.maxMessageBytes,
  queueBytes: DEFAULT_STREAM_LIMITS.maxQueuedBytes,
  connectionRequests: DEFAULT_STREAM_LIMITS.maxRequestsPerConnection,
  connectionRequestBytes: DEFAULT_STREAM_LIMITS.maxRequestBytesPerConnection,
};
/** At least two retransmissions (RFC 7252 section 4.8). */
const DEFAULT_FORWARDING_TIMEOUT_MS = 10_000;
const DEFAULT_FAILOVER_MS = 1000;
const DEFAULT_FORWARDING_CONCURRENCY = 256;
const DEFAULT_POOL_RECORDS = 200_000;
/** Together they keep 60 000 names announced. */
const DEFAULT_ANNOUNCING_RATE = 20;
const DEFAULT_REFRESH_MS = 3_000_000;
const DEFAULT_CACHE: CacheConfig = {
  entries: 10_000,
  bytes: 67_108_864,
  staleMs: 0,
  observeAfter: 10,
  observations: 64,
};
const DEFAULT_AUTO: AutoConfig = {
  threshold: 5,
  windowMs: 60_000,
  coldMs: 600_000,
  budget: 100_000,
  families: 16,
};
const MAX_NAME_LENGTH = 63;

/** Returns the configuration of a node without a file: RD and LP in one, reachable from this machine only. */
export function defaultConfig(): NodeConfig {
  return completeConfig({ lookup: {}, registration: {} }, ".");
}

/** Fills in every default. Relative paths are relative to `folder`. */
export function completeConfig(file: CheckedFile, folder: string): NodeConfig {
  return {
    name: file.name ?? defaultName(),
    listen: file.listen ?? DEFAULT_LISTEN,
    http: file.http === undefined ? DEFAULT_HTTP : file.http,
    httpNames: file["http-names"] ?? [],
    httpOrigins: file["http-origins"] ?? [],
    ...(file.lookup === undefined ? {} : { lookup: completeLookup(file.lookup, folder) }),
    ...(file.registration === undefined ? {} : { registration: completeRegistration(file.registration, folder) }),
    ...(file.anycast === undefined ? {} : { anycast: completeAnycast(file) }),
    ...(file.global === undefined ? {} : { global: completeGlobal(file, file.global, folder) }),
    advertise: (file.advertise ?? []).flat(),
    ...(file.tls === undefined ? {} : { tls: completeTls(file.tls, folder) }),
    ...(file.oscore === undefined ? {} : { oscore: { contexts: resolve(folder, file.oscore.contexts) } }),
    ...(file.snapshot === undefined ? {} : { snapshot: resolve(folder, file.snapshot) }),
    amplification: {
      freeBytes: file.amplification?.["free-bytes"] ?? DEFAULT_FREE_BYTES,
      trusted: file.amplification?.trusted ?? DEFAULT_TRUSTED,
    },
    limits: completeLimits(file.limits ?? {}),
    log: { level: file.log?.level ?? "info", format: file.log?.format ?? "text" },
  };
}

function completeLookup(lookup: NonNullable<CheckedFile["lookup"]>, folder: string): LookupConfig {
  return {
    upstreams: (lookup.upstreams ?? []).map((upstream) => completeUpstream(upstream, lookup, folder)),
    timeoutMs: lookup.timeout ?? DEFAULT_TIMEOUT_MS,
    concurrency: lookup.concurrency ?? DEFAULT_CONCURRENCY,
    onPartial: lookup["on-partial"] ?? "serve",
    // With `fail`, lookups need all of them.
    ready: lookup.ready ?? (lookup["on-partial"] === "fail" ? "all" : "any"),
    replicas: lookup.replicas ?? DEFAULT_REPLICAS,
    cache: completeCache(lookup.cache ?? {}),
    auto: completeAuto(lookup.auto ?? {}),
  };
}

function completeAuto(auto: NonNullable<CheckedLookup["auto"]>): AutoConfig {
  return {
    threshold: auto.threshold ?? DEFAULT_AUTO.threshold,
    windowMs: auto.window ?? DEFAULT_AUTO.windowMs,
    coldMs: auto.cold ?? DEFAULT_AUTO.coldMs,
    budget: auto.budget ?? DEFAULT_AUTO.budget,
    families: auto.families ?? DEFAULT_AUTO.families,
  };
}

function completeCache(cache: NonNullable<CheckedLookup["cache"]>): CacheConfig {
  return {
    entries: cache.entries ?? DEFAULT_CACHE.entries,
    bytes: cache.bytes ?? DEFAULT_CACHE.bytes,
    staleMs: cache.stale ?? DEFAULT_CACHE.staleMs,
    observeAfter: cache["observe-after"] ?? DEFAULT_CACHE.observeAfter,
    observations: cache.observations ?? DEFAULT_CACHE.observations,
  };
}

type CheckedLookup = NonNullable<CheckedFile["lookup"]>;

function completeUpstream(
  upstream: NonNullable<CheckedLookup["upstreams"]>[number],
  lookup: CheckedLookup,
  folder: string,
): UpstreamConfig {
  const defaultSector = upstream["default-sector"];
  return {
    name: upstream.name ?? derivedName(upstream.uri) ?? upstream.uri,
    uri: upstream.uri,
    uris: [upstream.uri, ...(upstream.uris ?? []).slice(1)],
    mode: upstream.mode ?? "replicate",
    transport: upstream.transport ?? "auto",
    isTier: upstream.tier ?? false,
    authorities: upstream.authorities ?? [],
    elsewhere: upstream.elsewhere ?? false,
    filters: upstream.filters ?? [],
    timeoutMs: upstream.timeout ?? lookup.timeout ?? DEFAULT_TIMEOUT_MS,
    assumedLifetimeMs: upstream["assumed-lifetime"] ?? lookup["assumed-lifetime"] ?? DEFAULT_LIFETIME_MS,
    ...(upstream.tls === undefined ? {} : { tls: completeUpstreamTls(upstream.tls, folder) }),
    ...(upstream.oscore === undefined ? {} : { oscore: upstream.oscore }),
    ...(defaultSector === undefined ? {} : { defaultSector }),
    pollMs: upstream.poll ?? DEFAULT_POLL_MS,
  };
}

function completeRegistration(
  registration: NonNullable<CheckedFile["registration"]>,
  folder: string,
): RegistrationConfig {
  const { store = { kind: "memory" } } = registration;
  return {
    store: completeStore(store, folder),
    replicas: registration.replicas ?? DEFAULT_REPLICAS,
    freshness: registration.freshness ?? "none",
    ...(registration.proxy === undefined ? {} : { proxy: completeProxy(registration.proxy) }),
  };
}

function completeProxy(proxy: NonNullable<NonNullable<CheckedFile["registration"]>["proxy"]>): ProxyConfig {
  const { ports = DEFAULT_PROXY_PORTS, host, names } = proxy;
  return {
    naming:
      names === undefined
        ? { kind: "ports", ...ports, ...(host === undefined ? {} : { host }) }
        : { kind: "names", domain: names.toLowerCase().replace(/\.$/, "") },
    graceMs: proxy.grace ?? DEFAULT_PROXY_GRACE_MS,
    timeoutMs: proxy.timeout ?? DEFAULT_PROXY_TIMEOUT_MS,
    connections: proxy.connections ?? DEFAULT_PROXIED_CONNECTIONS,
    endpointConnections: proxy["endpoint-connections"] ?? DEFAULT_ENDPOINT_CONNECTIONS,
    limits: {
      endpoints: proxy.endpoints ?? DEFAULT_PROXY_LIMITS.endpoints,
      requests: proxy.requests ?? DEFAULT_PROXY_LIMITS.requests,
      requestsPerEndpoint: proxy["endpoint-requests"] ?? DEFAULT_PROXY_LIMITS.requestsPerEndpoint,
      bytes: proxy.bytes ?? DEFAULT_PROXY_LIMITS.bytes,
      bodyBytes: proxy["body-bytes"] ?? DEFAULT_PROXY_LIMITS.bodyBytes,
      observations: proxy.observations ?? DEFAULT_PROXY_LIMITS.observations,
      observationsPerEndpoint: proxy["endpoint-observations"] ?? DEFAULT_PROXY_LIMITS.observationsPerEndpoint,
    },
  };
}

function completeStore(
  store: NonNullable<NonNullable<CheckedFile["registration"]>["store"]>,
  folder: string,
): StoreConfig {
  if (store.kind === "memory") return store;
  if (store.kind === "lmdb") return { ...store, path: resolve(folder, store.path) };
  const { kind, servers, ...settings } = store;
  const { stream = DEFAULT_STREAM, replicas = DEFAULT_STREAM_REPLICAS, ...more }: NatsSettings = settings;
  const { credentials, user, monitoring, tls, journal } = more;
  const passwordFile = more["password-file"];
  const at = (path: string) => resolve(folder, path);
  return {
    ...{ kind, servers, stream, replicas },
    ...(journal === undefined ? {} : { journal: at(journal) }),
    ...(credentials === undefined ? {} : { credentials: at(credentials) }),
    ...(user === undefined ? {} : { user }),
    ...(passwordFile === undefined ? {} : { passwordFile: at(passwordFile) }),
    ...(monitoring === undefined ? {} : { monitoring }),
    ...(tls === undefined ? {} : { tls: certificateFiles(tls, folder) }),
  };
}

interface NatsSettings {
  readonly stream?: string | undefined;
  readonly replicas?: number | undefined;
  readonly journal?: string | undefined;
  readonly credentials?: string | undefined;
  readonly user?: string | undefined;
  readonly "password-file"?: string | undefined;
  readonly monitoring?: readonly string[] | undefined;
  readonly tls?: CertificateFiles | undefined;
}

function completeAnycast({ anycast, registration }: CheckedFile): AnycastConfig {
  return {
    peers: (anycast?.peers ?? []).map(({ name, uri, registration, lookup }) => ({
      name,
      uri,
      registration: registration ?? true,
      lookup: lookup ?? true,
    })),
    timeoutMs: anycast?.timeout ?? DEFAULT_FORWARDING_TIMEOUT_MS,
    failoverMs: anycast?.failover ?? DEFAULT_FAILOVER_MS,
    freshness: anycast?.freshness ?? registration?.freshness ?? "none",
    concurrency: anycast?.concurrency ?? DEFAULT_FORWARDING_CONCURRENCY,
  };
}

function completeGlobal(
  { registration }: CheckedFile,
  global: NonNullable<CheckedFile["global"]>,
  folder: string,
): GlobalConfig {
  const { pool, key, names, addresses, allow, rate, refresh, timeout } = global;
  return {
    pool: { listen: pool.listen, bootstrap: pool.bootstrap, records: pool.records ?? DEFAULT_POOL_RECORDS },
    ...(key === undefined ? {} : { key: resolve(folder, key) }),
    names: names ?? (registration?.proxy === undefined ? "all" : "proxied"),
    ...(addresses === undefined ? {} : { addresses }),
    allow: allow ?? [],
    rate: rate ?? DEFAULT_ANNOUNCING_RATE,
    refreshMs: refresh ?? DEFAULT_REFRESH_MS,
    timeoutMs: timeout ?? DEFAULT_SEARCH_TIMEOUT_MS,
  };
}

function completeLimits(limits: NonNullable<CheckedFile["limits"]>): LimitsConfig {
  return {
    registrations: limits.registrations ?? DEFAULT_LIMITS.registrations,
    ...(limits.memory === undefined ? {} : { memory: limits.memory }),
    registrationBytes: limits["registration-bytes"] ?? DEFAULT_LIMITS.registrationBytes,
    observers: limits.observers ?? DEFAULT_LIMITS.observers,
    observersPerClient: limits["observers-per-client"] ?? DEFAULT_LIMITS.observersPerClient,
    exchanges: limits.exchanges ?? DEFAULT_LIMITS.exchanges,
    transfers: limits.transfers ?? DEFAULT_LIMITS.transfers,
    answers: limits.answers ?? DEFAULT_LIMITS.answers,
    verifiedPeers: limits["verified-peers"] ?? DEFAULT_LIMITS.verifiedPeers,
    connections: limits.connections ?? DEFAULT_LIMITS.connections,
    connectionsPerAddress: limits["connections-per-address"] ?? DEFAULT_LIMITS.connectionsPerAddress,
    handshakes: limits.handshakes ?? DEFAULT_LIMITS.handshakes,
    handshakesPerAddress: limits["handshakes-per-address"] ?? DEFAULT_LIMITS.handshakesPerAddress,
    messageBytes: limits["message-bytes"] ?? DEFAULT_LIMITS.messageBytes,
    queueBytes: limits["queue-bytes"] ?? DEFAULT_LIMITS.queueBytes,
    connectionRequests: limits["connection-requests"] ?? DEFAULT_LIMITS.connectionRequests,
    connectionRequestBytes: limits["connection-request-bytes"] ?? DEFAULT_LIMITS.connectionRequestBytes,
  };
}

/** Returns the host name, with characters replaced that a node name cannot have. */
function defaultName(): string {
  const name = hostname()
    .replace(/[^A-Za-z0-9._-]/g, "-")
    .slice(0, MAX_NAME_LENGTH);
  return name === "" ? "tributary" : name;
}
