import * as z from "zod";
import {
  advertisedLinks,
  askedUri,
  authority,
  coapUri,
  contextName,
  duration,
  type FieldParser,
  filePath,
  filter,
  flag,
  hostName,
  httpAddress,
  integer,
  journalFolder,
  monitoringUri,
  natsServer,
  nodeName,
  peerName,
  poolAddress,
  portRange,
  proxyHost,
  readyPolicy,
  replicaRule,
  requiredFolder,
  sector,
  show,
  snapshot,
  store,
  streamName,
  upstreamName,
  userName,
  webOrigin,
  word,
} from "./field-parsers.js";
import { sharedKeyFiles } from "./tls-settings.js";
import { hinted, hintOf } from "./value-hints.js";

const DAY_MS = 86_400_000;
/** Largest registration lifetime (RFC 9176 section 5), ms. */
const MAX_LIFETIME_MS = 4_294_967_295_000;

const timeout = duration(10, 3_600_000);
const lifetime = duration(1000, MAX_LIFETIME_MS);

/** A required value; the parser gets `undefined` when it is missing. */
function required<T>(name: string, parse: FieldParser<T>) {
  const schema = z.transform((value: unknown, context): T => {
    const result = parse(value, name);
    if (result.ok) return result.value;
    context.issues.push({ code: "custom", message: result.message, input: value });
    return z.NEVER;
  });
  return schema.meta(hintOf(parse));
}

/** Values that are text, whatever else is asked of them. */
for (const parse of [
  advertisedLinks,
  askedUri,
  authority,
  coapUri,
  contextName,
  filePath,
  filter,
  hostName,
  journalFolder,
  monitoringUri,
  natsServer,
  nodeName,
  peerName,
  replicaRule,
  requiredFolder,
  sector,
  snapshot,
  streamName,
  upstreamName,
  userName,
  webOrigin,
])
  hinted(parse, { type: "string" });

function optional<T>(name: string, parse: FieldParser<T>) {
  return required(name, parse).optional();
}

/** A list of values, each with the schema `each`. */
function list<T>(name: string, each: z.ZodType<T>, example: string) {
  return z.array(each, { error: ({ input }) => `${name} is ${show(input)}; write a list: ${example}` });
}

/** A mapping without unknown keys. An empty value stands for an empty mapping. */
function section<S extends z.core.$ZodLooseShape>(name: string, shape: S) {
  const strict = z.strictObject(shape, {
    error: ({ code, input }) =>
      code === "invalid_type" ? `${name} is ${show(input)}; write its settings below it` : undefined,
  });
  return z.preprocess((value) => (value === null ? {} : value), strict);
}

/** Files of pre-shared keys by identity. */
const keyFiles = z.transform((value: unknown, context): Readonly<Record<string, string>> => {
  const result = sharedKeyFiles(value, "psk");
  if (result.ok) return result.value;
  for (const { path, message } of result.issues) context.issues.push({ code: "custom", message, input: value, path });
  return z.NEVER;
});

const certificateShape = {
  ca: optional("ca", filePath),
  cert: optional("cert", filePath),
  key: optional("key", filePath),
};

const nodeTlsShape = {
  ...certificateShape,
  clients: optional("clients", word(["required", "optional", "none"])),
  psk: keyFiles.optional(),
};

const upstreamTlsShape = {
  ...certificateShape,
  psk: keyFiles.optional(),
  "server-name": optional("server-name", hostName),
};

const upstreamShape = {
  name: optional("name", upstreamName),
  uri: required("uri", askedUri),
  uris: list("uris", required("uris", askedUri), '["coap://[2001:db8::1]", "coap://[2001:db8::2]"]')
    .min(1, { error: "uris is an empty list; write the URIs of the instances of one RD" })
    .max(64, { error: "uris has more than 64 URIs; write a name with several addresses" })
    .optional(),
  mode: optional("mode", word(["replicate", "forward", "auto"])),
  transport: optional("transport", word(["auto", "udp", "tcp"])),
  tier: optional("tier", flag),
  authorities: list("authorities", required("authorities", authority), '["coap://rd.example.com"]').optional(),
  elsewhere: optional("elsewhere", flag),
  filters: list("filters", required("filters", filter), '["d=facility23"]').optional(),
  timeout: optional("timeout", timeout),
  "default-sector": optional("default-sector", sector),
  poll: optional("poll", duration(1000, DAY_MS)),
  "assumed-lifetime": optional("assumed-lifetime", lifetime),
  tls: section("tls", upstreamTlsShape).optional(),
  oscore: optional("oscore", contextName),
};

/** The first of several URIs is the one by which an upstream is known. */
function withFirstUri(value: unknown): unknown {
  if (typeof value !== "object" || value === null || "uri" in value || !("uris" in value)) return value;
  const [uri] = Array.isArray(value.uris) ? value.uris : [];
  return uri === undefined ? { uri: DEFAULT_URI, ...value } : { uri, ...value };
}

/** Stands in for the first of no URIs, which is reported by itself. */
const DEFAULT_URI = "coap://localhost";

/** An upstream as a mapping, or only its URI. */
const upstream = z.preprocess(
  (value) => (typeof value === "string" ? { uri: value } : withFirstUri(value)),
  z.strictObject(upstreamShape, {
    error: ({ code, input }) =>
      code === "invalid_type"
        ? `an upstream is ${show(input)}; write its URI, or a mapping with name and uri`
        : undefined,
  }),
);

const cacheShape = {
  entries: optional("entries", integer(0, 10_000_000)),
  bytes: optional("bytes", integer(65_536, 68_719_476_736)),
  stale: optional("stale", duration(0, 30 * DAY_MS)),
  "observe-after": optional("observe-after", integer(0, 1_000_000)),
  observations: optional("observations", integer(0, 10_000)),
};

const autoShape = {
  threshold: optional("threshold", integer(2, 10_000)),
  window: optional("window", duration(1000, DAY_MS)),
  cold: optional("cold", duration(1000, 30 * DAY_MS)),
  budget: optional("budget", integer(1, 100_000_000)),
  families: optional("families", integer(1, 1000)),
};

const lookupShape = {
  upstreams: list("upstreams", upstream, '["coap://[2001:db8::1]"]').optional(),
  timeout: optional("timeout", timeout),
  concurrency: optional("concurrency", integer(1, 1024)),
  replicas: list("replicas", required("replicas", replicaRule), '["loopback", "private"]').optional(),
  "on-partial": optional("on-partial", word(["serve", "fail"])),
  ready: optional("ready", readyPolicy),
  "assumed-lifetime": optional("assumed-lifetime", lifetime),
  cache: section("cache", cacheShape).optional(),
  auto: section("auto", autoShape).optional(),
};

const natsShape = {
  servers: list("servers", required("servers", natsServer), '["nats://[2001:db8::1]:4222"]').min(1, {
    error: "servers is an empty list; write at least one, such as nats://[2001:db8::1]:4222",
  }),
  stream: optional("stream", streamName),
  replicas: optional("replicas", integer(1, 5)),
  partition: optional("partition", word(["refuse", "accept"])),
  journal: optional("journal", journalFolder),
  credentials: optional("credentials", filePath),
  user: optional("user", userName),
  "password-file": optional("password-file", filePath),
  monitoring: list("monitoring", required("monitoring", monitoringUri), '["http://[2001:db8::1]:8222"]').optional(),
  tls: section("tls", certificateShape).optional(),
};

const storeShape = { nats: section("nats", natsShape) };
const longStore = z.strictObject(storeShape);
const { $schema: _dialect, ...longStoreSchema } = z.toJSONSchema(longStore, { io: "input", unrepresentable: "any" });

/** A store as a mapping, or as text without further settings. */
const anyStore = z
  .transform((value: unknown, context) => {
    const isMapping = typeof value === "object" && value !== null && !Array.isArray(value);
    if (!isMapping) {
      const result = store(value, "store");
      if (result.ok) return result.value;
      context.issues.push({ code: "custom", message: result.message, input: value });
      return z.NEVER;
    }
    const result = longStore.safeParse(value);
    if (result.success) return { kind: "nats" as const, ...result.data.nats };
    for (const issue of result.error.issues) context.issues.push({ ...issue, input: value } as never);
    return z.NEVER;
  })
  .meta({ anyOf: [{ type: "string" }, longStoreSchema] });

const proxyShape = {
  ports: optional("ports", portRange),
  host: optional("host", proxyHost),
  names: optional("names", hostName),
  grace: optional("grace", duration(0, DAY_MS)),
  timeout: optional("timeout", timeout),
  endpoints: optional("endpoints", integer(1, 100_000)),
  requests: optional("requests", integer(1, 1_000_000)),
  "endpoint-requests": optional("endpoint-requests", integer(1, 65_536)),
  bytes: optional("bytes", integer(65_536, 68_719_476_736)),
  "body-bytes": optional("body-bytes", integer(1024, 67_108_864)),
  observations: optional("observations", integer(0, 1_000_000)),
  "endpoint-observations": optional("endpoint-observations", integer(0, 65_536)),
  connections: optional("connections", integer(1, 1_000_000)),
  "endpoint-connections": optional("endpoint-connections", integer(1, 65_536)),
};

const registrationShape = {
  store: anyStore.optional(),
  replicas: list("replicas", required("replicas", replicaRule), '["loopback", "private"]').optional(),
  freshness: optional("freshness", word(["none", "echo"])),
  proxy: section("proxy", proxyShape).optional(),
};

const peerShape = {
  name: required("name", peerName),
  uri: required("uri", askedUri),
  registration: optional("registration", flag),
  lookup: optional("lookup", flag),
};

const peer = z.strictObject(peerShape, {
  error: ({ code, input }) =>
    code === "invalid_type" ? `a peer is ${show(input)}; write a mapping with name and uri` : undefined,
});

const anycastShape = {
  peers: list("peers", peer, '[{ name: rd-b, uri: "coap://[2001:db8::2]" }]').min(1, {
    error: "peers is an empty list; write at least one, or remove anycast",
  }),
  timeout: optional("timeout", timeout),
  failover: optional("failover", timeout),
  freshness: optional("freshness", word(["none", "echo"])),
  concurrency: optional("concurrency", integer(1, 65_536)),
};

const poolShape = {
  listen: required("listen", poolAddress),
  bootstrap: list("bootstrap", required("bootstrap", poolAddress), '["192.0.2.2:49737"]')
    .min(1, { error: "bootstrap is an empty list; write members of the pool, such as 192.0.2.2:49737" })
    .max(64, { error: "bootstrap has more than 64 members; write a few that are always there" }),
  records: optional("records", integer(1000, 10_000_000)),
};

const globalShape = {
  pool: section("pool", poolShape),
  key: optional("key", filePath),
  names: optional("names", word(["all", "proxied"])),
  addresses: list("addresses", required("addresses", askedUri), '["coap://[2001:db8::1]"]').optional(),
  allow: list("allow", required("allow", replicaRule), '["loopback", "private"]').optional(),
  rate: optional("rate", integer(1, 1000)),
  refresh: optional("refresh", duration(60_000, 21_600_000)),
  timeout: optional("timeout", duration(100, 60_000)),
};

const oscoreShape = {
  contexts: required("contexts", requiredFolder),
};

const amplificationShape = {
  "free-bytes": optional("free-bytes", integer(0, 65_507)),
  trusted: list("trusted", required("trusted", replicaRule), '["loopback", "private"]').optional(),
};

const limitsShape = {
  registrations: optional("registrations", integer(1, 100_000_000)),
  memory: optional("memory", integer(1_048_576, 1_099_511_627_776)),
  "registration-bytes": optional("registration-bytes", integer(64, 16_777_216)),
  observers: optional("observers", integer(0, 1_000_000)),
  "observers-per-client": optional("observers-per-client", integer(0, 1_000_000)),
  exchanges: optional("exchanges", integer(1, 1_000_000)),
  transfers: optional("transfers", integer(1, 1_000_000)),
  answers: optional("answers", integer(0, 10_000_000)),
  "verified-peers": optional("verified-peers", integer(1, 10_000_000)),
  connections: optional("connections", integer(1, 1_000_000)),
  "connections-per-address": optional("connections-per-address", integer(1, 1_000_000)),
  handshakes: optional("handshakes", integer(1, 1_000_000)),
  "handshakes-per-address": optional("handshakes-per-address", integer(1, 1_000_000)),
  "message-bytes": optional("message-bytes", integer(1153, 67_108_864)),
  "queue-bytes": optional("queue-bytes", integer(65_536, 1_073_741_824)),
  "connection-requests": optional("connection-requests", integer(1, 1_000_000)),
  "connection-request-bytes": optional("connection-request-bytes", integer(1, 1_000_000_000)),
};

const logShape = {
  level: optional("level", word(["error", "warn", "info", "debug", "trace"])),
  format: optional("format", word(["text", "json"])),
};

const rootShape = {
  name: optional("name", nodeName),
  listen: list("listen", required("listen", coapUri), '["coap://[::]:5683"]')
    .min(1, { error: 'listen is an empty list; write at least one URI, such as "coap://[::]:5683"' })
    .optional(),
  http: optional("http", httpAddress),
  "http-names": list("http-names", required("http-names", hostName), '["lp.example.com"]').optional(),
  "http-origins": list(
    "http-origins",
    required("http-origins", webOrigin),
    '["https://dashboard.example.com"]',
  ).optional(),
  lookup: section("lookup", lookupShape).optional(),
  registration: section("registration", registrationShape).optional(),
  anycast: section("anycast", anycastShape).optional(),
  global: section("global", globalShape).optional(),
  advertise: list(
    "advertise",
    required("advertise", advertisedLinks),
    `['<coap://[2001:db8::1]/rd>;rt="core.rd"']`,
  ).optional(),
  snapshot: optional("snapshot", snapshot),
  tls: section("tls", nodeTlsShape).optional(),
  oscore: section("oscore", oscoreShape).optional(),
  amplification: section("amplification", amplificationShape).optional(),
  limits: section("limits", limitsShape).optional(),
  log: section("log", logShape).optional(),
};

/** Schema of a configuration file. Messages of its issues are `mistake; correction`. */
export const configSchema = z.strictObject(rootShape, {
  error: ({ code, input }) =>
    code === "invalid_type"
      ? `the file contains ${show(input)}; write a mapping such as "registration: {}"`
      : undefined,
});

/** A configuration with parsed values, without defaults. */
export type CheckedFile = z.output<typeof configSchema>;

/** Keys of every mapping by its path, without list indices. */
export const KEYS_BY_PLACE: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    "": rootShape,
    lookup: lookupShape,
    "lookup.upstreams": upstreamShape,
    "lookup.upstreams.tls": upstreamTlsShape,
    "lookup.cache": cacheShape,
    "lookup.auto": autoShape,
    registration: registrationShape,
    "registration.proxy": proxyShape,
    "registration.store": storeShape,
    "registration.store.nats": natsShape,
    "registration.store.nats.tls": certificateShape,
    anycast: anycastShape,
    "anycast.peers": peerShape,
    global: globalShape,
    "global.pool": poolShape,
    tls: nodeTlsShape,
    oscore: oscoreShape,
    amplification: amplificationShape,
    limits: limitsShape,
    log: logShape,
  }).map(([place, shape]) => [place, Object.keys(shape)]),
);
