// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax of variables is the subject
import { isIPv6 } from "node:net";
import { formatCriterion, serialiseLink } from "@tributary/link-model";
import { dump } from "js-yaml";
import type { UpstreamTlsConfig } from "../credentials/types.js";
import { formatDuration } from "./field-parsers.js";
import type {
  AnycastConfig,
  GlobalConfig,
  HostAndPort,
  LookupConfig,
  NodeConfig,
  ProxyConfig,
  RegistrationConfig,
  StoreConfig,
  UpstreamConfig,
} from "./types.js";

/** A mapping of the file; undefined: not written. */
type Section = Readonly<Record<string, unknown>>;

/**
 * Returns a configuration as a file in which nothing is left to defaults: `checkConfig` makes the same configuration of it. Paths are
 * absolute, variables of the environment are replaced by their values. Pure.
 */
export function effectiveFile(config: NodeConfig): string {
  return dump(unreplaced(effectiveSettings(config)), { lineWidth: -1 });
}

/** Writes `${` in values as `$${`, which stands for these characters and begins no variable. */
function unreplaced(value: unknown): unknown {
  if (typeof value === "string") return value.replaceAll("${", () => "$${");
  if (Array.isArray(value)) return value.map(unreplaced);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => (inner === undefined ? [] : [[key, unreplaced(inner)]])),
  );
}

function effectiveSettings(config: NodeConfig): Section {
  const { name, listen, http, httpNames, httpOrigins, lookup, registration, anycast, global } = config;
  const { advertise, oscore, snapshot, amplification, limits, log } = config;
  return {
    name,
    listen,
    http: http === null ? false : hostAndPort(http),
    "http-names": httpNames,
    "http-origins": httpOrigins,
    lookup: lookup && lookupSettings(lookup, registration !== undefined),
    registration: registration && registrationSettings(registration),
    anycast: anycast && anycastSettings(anycast),
    global: global && globalSettings(global),
    advertise: advertise.map((link) => serialiseLink(link)),
    tls: tlsSettings(config),
    oscore,
    snapshot,
    amplification: settings(amplification),
    limits: settings(limits),
    log,
  };
}

/** Who may follow a node that is an RD as well is a setting of `registration` alone. */
function lookupSettings(lookup: LookupConfig, isDirectory: boolean): Section {
  const { upstreams, replicas, cache, auto, ...others } = lookup;
  return {
    upstreams: upstreams.map(upstreamSettings),
    ...settings(others),
    replicas: isDirectory ? undefined : replicas,
    cache: settings(cache),
    auto: settings(auto),
  };
}

function upstreamSettings(upstream: UpstreamConfig): Section {
  const { uri, uris, isTier, authorities, filters, tls, contextVersion: _, name, ...others } = upstream;
  return {
    name,
    ...(uris.length === 1 ? { uri } : { uris }),
    ...settings(others),
    tier: isTier,
    authorities: orNothing(authorities),
    filters: orNothing(filters.map((criteria) => criteria.map(formatCriterion).join("&"))),
    tls: tls && upstreamTlsSettings(tls),
  };
}

function upstreamTlsSettings({ psk, ...others }: UpstreamTlsConfig): Section {
  return { ...settings(others), psk: psk && { [psk.identity]: psk.key } };
}

/** Without a listener with TLS, a file must not say anything about clients. */
function tlsSettings({ tls, listen }: NodeConfig): Section | undefined {
  if (tls === undefined) return undefined;
  const { psk, clients, ...files } = tls;
  const isServer = listen.some((uri) => uri.startsWith("coaps"));
  return {
    ...files,
    ...(isServer ? { clients } : {}),
    ...(Object.keys(psk).length > 0 ? { psk } : {}),
  };
}

function registrationSettings({ store, proxy, ...others }: RegistrationConfig): Section {
  return { store: storeSettings(store), ...settings(others), proxy: proxy && proxySettings(proxy) };
}

function storeSettings(store: StoreConfig): unknown {
  if (store.kind === "memory") return "memory";
  if (store.kind === "lmdb") return `lmdb:${store.path}`;
  const { kind: _, journal, ...others } = store;
  return { nats: { ...settings(others), partition: journal === undefined ? "refuse" : "accept", journal } };
}

function proxySettings({ naming, limits, ...others }: ProxyConfig): Section {
  const { requestsPerEndpoint, observationsPerEndpoint, ...shared } = limits;
  return {
    ...(naming.kind === "names"
      ? { names: naming.domain }
      : { ports: `${naming.from}-${naming.to}`, host: naming.host }),
    ...settings(others),
    ...settings(shared),
    "endpoint-requests": requestsPerEndpoint,
    "endpoint-observations": observationsPerEndpoint,
  };
}

function anycastSettings({ peers, ...others }: AnycastConfig): Section {
  return { peers, ...settings(others) };
}

function globalSettings({ pool, ...others }: GlobalConfig): Section {
  return {
    pool: { listen: hostAndPort(pool.listen), bootstrap: pool.bootstrap.map(hostAndPort), records: pool.records },
    ...settings(others),
  };
}

/** A list that may be left out. */
function orNothing<T>(items: readonly T[]): readonly T[] | undefined {
  return items.length === 0 ? undefined : items;
}

/** As in the file, where the zone of an address is not percent-encoded as it is in URIs. */
function hostAndPort({ host, port }: HostAndPort): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** Settings by their keys in the file: `observeAfter` is `observe-after`, and times, whose names end with `Ms`, have a unit. */
function settings(values: object): Section {
  const entries = Object.entries(values).map(([name, value]): [string, unknown] => {
    const isTime = name.endsWith("Ms") && typeof value === "number";
    const key = (isTime ? name.slice(0, -2) : name).replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return [key, isTime ? formatDuration(value) : value];
  });
  return Object.fromEntries(entries);
}
