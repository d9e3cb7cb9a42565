import { normalize } from "node:path";
import { parseCoapUri } from "@tributary/coap-transport";
import { parseCoapOrigin } from "./coap-origin.js";
import { DEFAULT_LISTEN, type HostAddresses, OwnListeners } from "./own-listeners.js";
import type { ValuePath } from "./source-position.js";
import { checkTls, type TlsUse } from "./tls-settings.js";

/** A conflict between values that are valid by themselves. */
export interface CrossIssue {
  readonly path: ValuePath;
  readonly message: string;
}

/**
 * Checks constraints across several values. Works on the unchecked value and skips malformed parts, so that these errors are reported
 * together with all others. Pure apart from `hostAddresses`, which returns the addresses of a listener on all addresses.
 */
export function crossCheck(root: unknown, hostAddresses: HostAddresses): CrossIssue[] {
  if (!isMapping(root)) return [];
  const listen = root.listen === undefined ? DEFAULT_LISTEN : listOf(root.listen);
  const own = new OwnListeners(
    listen.map(canonical).filter((uri) => uri !== undefined),
    hostAddresses,
  );
  return [
    ...checkRole(root),
    ...checkListeners(root),
    ...checkUpstreams(root, own),
    ...checkFolders(root),
    ...checkPartition(root),
    ...checkReplicas(root),
    ...checkReady(root),
    ...checkPeers(root, own),
    ...checkProxy(root, listen),
    ...checkGlobal(root),
    ...checkTls(tlsUse(root, listen)),
    ...checkContexts(root),
  ];
}

function tlsUse({ tls, lookup, anycast }: Mapping, listen: readonly unknown[]): TlsUse {
  const upstreams = isMapping(lookup) ? listOf(lookup.upstreams) : [];
  const peers = isMapping(anycast) ? listOf(anycast.peers) : [];
  return {
    tls,
    listen: listen.map(canonical),
    upstreams: upstreams.map((upstream, index) => ({
      path: ["lookup", "upstreams", index],
      uri: urisOf(upstream)[0]?.uri,
      tls: isMapping(upstream) ? upstream.tls : undefined,
    })),
    asksOthers: peers.some((peer) => isMapping(peer) && canonical(peer.uri)?.startsWith("coaps+tcp:") === true),
  };
}

/** Contexts are those of the node, whichever upstream uses them. */
function checkContexts({ oscore, lookup }: Mapping): CrossIssue[] {
  const upstreams = isMapping(lookup) ? listOf(lookup.upstreams) : [];
  if (oscore !== undefined) return [];
  const message = "the contexts are in a folder of the node; add oscore: { contexts: FOLDER } at the top level";
  return upstreams.flatMap((upstream, index) =>
    isMapping(upstream) && upstream.oscore !== undefined
      ? [{ path: ["lookup", "upstreams", index, "oscore"], message }]
      : [],
  );
}

function checkRole(root: Mapping): CrossIssue[] {
  if ("lookup" in root || "registration" in root) return [];
  const message =
    'there is neither lookup nor registration, so this node would do nothing; add "registration: {}" or lookup';
  return [{ path: [], message }];
}

function checkFolders({ snapshot, registration, lookup }: Mapping): CrossIssue[] {
  if (typeof snapshot !== "string") return [];
  if (lookup === undefined)
    return [
      {
        path: ["snapshot"],
        message: "snapshot stores copies of upstreams, and without lookup there are none; remove it",
      },
    ];
  const store = isMapping(registration) ? registration.store : undefined;
  if (typeof store !== "string" || normalize(store.replace(/^lmdb:/, "")) !== normalize(snapshot)) return [];
  return [{ path: ["snapshot"], message: `${snapshot} is the folder of the store; choose another` }];
}

function checkListeners(root: Mapping): CrossIssue[] {
  const seen = new Set<string>();
  return listOf(root.listen).flatMap((value, index) => {
    const uri = canonical(value);
    if (uri === undefined || !seen.has(uri)) {
      if (uri !== undefined) seen.add(uri);
      return [];
    }
    return [{ path: ["listen", index], message: `${uri} is listed twice; remove one of them` }];
  });
}

function checkUpstreams(root: Mapping, own: OwnListeners): CrossIssue[] {
  const upstreams = isMapping(root.lookup) ? listOf(root.lookup.upstreams) : [];
  const uris = new Map<string, number>();
  const names = new Map<string, number>();
  return upstreams.flatMap((value, index) => {
    const path = ["lookup", "upstreams", index] as const;
    const issues: CrossIssue[] = [];
    let twin: number | undefined;
    for (const { uri, at } of urisOf(value)) {
      const other = uris.get(uri);
      const place = [...path, ...at];
      if (own.has(uri)) issues.push({ path: place, message: `${uri} is this node itself; remove it` });
      if (other === undefined) uris.set(uri, index);
      else {
        const message =
          other === index
            ? `${uri} is listed twice; remove one of them`
            : `${uri} is upstream ${other + 1} already; remove one of them`;
        issues.push({ path: place, message });
        if (other !== index) twin ??= other;
      }
    }
    const uri = urisOf(value)[0]?.uri;
    // Two upstreams with the same URI and no names are one error, not two.
    const name =
      twin === undefined || explicitName(value) !== undefined ? (explicitName(value) ?? derivedName(uri)) : undefined;
    const namesake = name === undefined ? undefined : names.get(name);
    if (name !== undefined && namesake === undefined) names.set(name, index);
    if (namesake !== undefined) {
      issues.push({
        path: [...path, "name"],
        message: `name ${name} is taken by upstream ${namesake + 1}; choose another`,
      });
    }
    if (isMapping(value))
      issues.push(
        ...checkFilters(value, path),
        ...checkTier(value, path),
        ...checkTransport(value, path),
        ...checkUris(value, path),
      );
    issues.push(...checkAuthorities(value, { path, index, upstreams, own }));
    return issues;
  });
}

/** An authority of one RD that belongs to another server would mix up the registrations of both. */
function checkAuthorities(
  upstream: unknown,
  { path, index, upstreams, own }: { path: ValuePath; index: number; upstreams: readonly unknown[]; own: OwnListeners },
): CrossIssue[] {
  if (!isMapping(upstream)) return [];
  const others = new Map(upstreams.flatMap((one, place) => urisOf(one).map(({ uri }) => [uri, place] as const)));
  const authorities = listOf(upstream.authorities);
  const issues: CrossIssue[] = authorities.flatMap((value, place) => {
    const uri = canonical(value);
    const other = uri === undefined ? undefined : others.get(uri);
    const at = [...path, "authorities", place];
    if (uri !== undefined && own.has(uri)) return [{ path: at, message: `${uri} is this node itself; remove it` }];
    if (other === undefined || other === index) return [];
    return [{ path: at, message: `${uri} is upstream ${other + 1}, which is another RD; remove one of them` }];
  });
  if (upstream.tier === true && authorities.length > 0) {
    const message = "a proxy says under which URI each registration is known at its RD; remove authorities, or tier";
    issues.push({ path: [...path, "authorities"], message });
  }
  return issues;
}

function checkFilters(upstream: Mapping, path: ValuePath): CrossIssue[] {
  const { mode } = upstream;
  if ((mode !== "forward" && mode !== "auto") || listOf(upstream.filters).length === 0) return [];
  const does =
    mode === "auto" ? "finds out by itself what to replicate" : "replicates nothing that filters could narrow";
  const message = `mode ${mode} ${does}; remove filters, or write mode: replicate`;
  return [{ path: [...path, "filters"], message }];
}

/** Names are part of paths, so they must be unique. An address of this node, such as the shared one, would loop (draft 6.2.2). */
function checkPeers({ name: ownName, anycast }: Mapping, own: OwnListeners): CrossIssue[] {
  const peers = isMapping(anycast) ? listOf(anycast.peers) : [];
  const names = new Map<unknown, string>([[ownName, "this node"]]);
  const uris = new Map<string, string>();
  const issues: CrossIssue[] = [];
  if (peers.length > 0 && ownName === undefined)
    issues.push({ path: ["anycast"], message: "nodes that share an address need names of their own; add name" });
  for (const [index, peer] of peers.entries()) {
    if (!isMapping(peer)) continue;
    const at = ["anycast", "peers", index] as const;
    const uri = canonical(peer.uri);
    const namesake = typeof peer.name === "string" ? names.get(peer.name) : undefined;
    const twin = uri === undefined ? undefined : uris.get(uri);
    if (namesake !== undefined)
      issues.push({ path: [...at, "name"], message: `name ${peer.name} is taken by ${namesake}; choose another` });
    if (uri !== undefined && own.has(uri))
      issues.push({ path: [...at, "uri"], message: `${uri} is an address of this node; write the peer's own one` });
    if (twin !== undefined)
      issues.push({ path: [...at, "uri"], message: `${uri} is ${twin} already; write the peer's own address` });
    if (peer.registration === false && peer.lookup === false)
      issues.push({ path: [...at], message: "a peer without registration and lookup does nothing; remove it" });
    names.set(peer.name, `peer ${index + 1}`);
    if (uri !== undefined) uris.set(uri, `peer ${index + 1}`);
  }
  return issues;
}

/** Endpoints are proxied over connections that they make, by one instance, under ports or names. */
function checkProxy({ registration }: Mapping, listen: readonly unknown[]): CrossIssue[] {
  if (!isMapping(registration) || !("proxy" in registration)) return [];
  const path = ["registration", "proxy"];
  const proxy = isMapping(registration.proxy) ? registration.proxy : {};
  const issues: CrossIssue[] = [];
  const uris = listen.map(canonical);
  if (!uris.some((uri) => uri?.startsWith("coap+tcp:") === true))
    issues.push({ path, message: "endpoints are proxied over TCP connections; add a coap+tcp URI to listen" });
  if (isShared(registration.store)) {
    const message =
      "the other instances of a shared store do not have the connections; remove proxy, or use another store";
    issues.push({ path, message });
  }
  for (const key of ["ports", "host"])
    if (proxy.names !== undefined && proxy[key] !== undefined)
      issues.push({
        path: [...path, key],
        message: `endpoints have ports or names, not both; remove ${key}, or names`,
      });
  const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(String(proxy.ports ?? ""));
  const own = uris.flatMap((uri) => (uri === undefined ? [] : [parseCoapUri(uri).port]));
  const from = Number(match?.[1]);
  const taken = match === null ? undefined : own.find((port) => port >= from && port <= Number(match[2] ?? from));
  if (taken !== undefined)
    issues.push({ path: [...path, "ports"], message: `port ${taken} is in listen; write a range without it` });
  return issues;
}

/** What is announced are registrations of this node, by a member that is not its own way into the pool. */
function checkGlobal({ global, registration }: Mapping): CrossIssue[] {
  if (!isMapping(global)) return [];
  const issues: CrossIssue[] = [];
  const isProxy = isMapping(registration) && "proxy" in registration;
  if (global.names !== undefined && registration === undefined) {
    const message = "names are those of registrations, and without registration there are none; remove it";
    issues.push({ path: ["global", "names"], message });
  } else if (global.names === "proxied" && !isProxy) {
    const message = "no endpoint is proxied without registration.proxy; write names: all, or add it";
    issues.push({ path: ["global", "names"], message });
  }
  return issues;
}

function isShared(store: unknown): boolean {
  return isMapping(store) ? "nats" in store : typeof store === "string" && /^(nats|tls):/.test(store);
}

/** What is taken during a split has to outlive the process. */
function checkPartition({ registration, snapshot }: Mapping): CrossIssue[] {
  const store = isMapping(registration) ? registration.store : undefined;
  const nats = isMapping(store) ? store.nats : undefined;
  if (!isMapping(nats)) return [];
  const { partition, journal } = nats;
  const path = ["registration", "store", "nats"] as const;
  if (partition === "accept" && journal === undefined) {
    const message = "accept keeps what it takes in a folder; add journal, such as journal: ./state/split";
    return [{ path: [...path, "partition"], message }];
  }
  if (typeof journal !== "string") return [];
  if (partition === undefined || partition === "refuse") {
    const message =
      "nothing is written to a journal while registrations are refused; add partition: accept, or remove it";
    return [{ path: [...path, "journal"], message }];
  }
  if (typeof snapshot !== "string" || normalize(snapshot) !== normalize(journal)) return [];
  return [{ path: [...path, "journal"], message: `${journal} is the folder of the snapshot; choose another` }];
}

function checkReady({ lookup, registration }: Mapping): CrossIssue[] {
  if (!isMapping(lookup) || typeof lookup.ready !== "number") return [];
  const most = listOf(lookup.upstreams).length + (registration === undefined ? 0 : 1);
  if (lookup.ready <= most) return [];
  const parts = registration === undefined ? "upstreams" : "upstreams and own registrations";
  const message = `ready asks for ${lookup.ready} of ${most} ${parts}, so this node would never be ready; write at most ${most}`;
  return [{ path: ["lookup", "ready"], message }];
}

function checkTier({ tier, mode = "replicate" }: Mapping, path: ValuePath): CrossIssue[] {
  if (tier !== true || mode === "replicate") return [];
  const message = `mode ${mode} would ask a proxy what it may have to ask others; write mode: replicate, or remove tier`;
  return [{ path: [...path, "mode"], message }];
}

function checkTransport({ transport, uri }: Mapping, path: ValuePath): CrossIssue[] {
  if (transport !== "udp" || /^coaps?\+tcp:/.test(canonical(uri) ?? "") === false) return [];
  const message = "transport: udp contradicts the scheme of uri; write coap:// there, or remove transport";
  return [{ path: [...path, "transport"], message }];
}

/** The instances of one RD are reached alike: its feed moves from one to another. */
function checkUris({ uri, uris }: Mapping, path: ValuePath): CrossIssue[] {
  if (uris === undefined) return [];
  const issues: CrossIssue[] = [];
  if (uri !== undefined)
    issues.push({ path: [...path, "uri"], message: "uri and uris exclude each other; write it first in uris" });
  const schemes = listOf(uris).map((one) => canonical(one)?.replace(/:.*$/s, ""));
  const other = schemes.findIndex((scheme) => scheme !== undefined && scheme !== schemes[0]);
  if (other > 0 && schemes[0] !== undefined)
    issues.push({
      path: [...path, "uris", other],
      message: `the first of uris has ${schemes[0]}; write the same scheme`,
    });
  return issues;
}

/** The URIs of an upstream in canonical form, with their places in it. */
function urisOf(upstream: unknown): { readonly uri: string; readonly at: ValuePath }[] {
  if (!isMapping(upstream)) return placed([upstream], () => ["uri"]);
  if (upstream.uri !== undefined) return placed([upstream.uri], () => ["uri"]);
  return placed(listOf(upstream.uris), (index) => ["uris", index]);
}

function placed(values: readonly unknown[], at: (index: number) => ValuePath): { uri: string; at: ValuePath }[] {
  return values.flatMap((value, index) => {
    const uri = canonical(value);
    return uri === undefined ? [] : [{ uri, at: at(index) }];
  });
}

/** For an RD, `registration.replicas` also applies to what it has from upstreams. */
function checkReplicas({ lookup, registration }: Mapping): CrossIssue[] {
  if (registration === undefined || !isMapping(lookup) || lookup.replicas === undefined) return [];
  const message = "registration.replicas says who may replicate this node; remove this one";
  return [{ path: ["lookup", "replicas"], message }];
}

/** Returns the name of an upstream without one: its authority. Pure. */
export function derivedName(uri: string | undefined): string | undefined {
  return uri?.slice(uri.indexOf("//") + 2);
}

type Mapping = Readonly<Record<string, unknown>>;

function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function canonical(value: unknown): string | undefined {
  const result = typeof value === "string" ? parseCoapOrigin(value) : undefined;
  return result?.ok === true ? result.origin.uri : undefined;
}

function explicitName(upstream: unknown): string | undefined {
  return isMapping(upstream) && typeof upstream.name === "string" ? upstream.name : undefined;
}
