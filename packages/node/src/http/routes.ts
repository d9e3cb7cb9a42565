import type { Clock, Logger } from "@tributary/runtime";
import { isAnswerable } from "../composition/readiness.js";
import type { Node } from "../composition/types.js";
import type { EventLog } from "../observability/event-log.js";
import type { Metrics } from "../observability/metrics.js";
import { eventsRoute } from "./events.js";
import { lookupRoutes } from "./lookups.js";
import { openApiRoute } from "./openapi.js";
import { registrationsRoute } from "./registrations.js";
import { type Route, send, sendJson } from "./router.js";
import { staleRoute } from "./stale.js";
import { statusPageRoutes } from "./status-page.js";
import { viewUpstream } from "./upstream-view.js";
import { whyRoute } from "./why.js";

/** Collaborators of the HTTP routes. */
export interface HttpSite {
  readonly node: Node;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly events: EventLog;
  readonly logger: Logger;
  readonly version: string;
  /** Roles of this node: RD, lookup proxy, or both. */
  readonly roles: readonly ("rd" | "lp")[];
}

const MAX_FOLLOWERS = 100;
const TEXT = "text/plain; charset=utf-8";

/** Creates the routes of the HTTP interface (design section 8). */
export function createRoutes(site: HttpSite): Route[] {
  const { node, metrics, clock } = site;
  const startedMs = clock.nowMs();
  return [
    ...statusPageRoutes({ overview: () => overview(site), logger: site.logger }),
    { path: "/healthz", handle: (_request, response) => send(response, 200, TEXT, "ok\n") },
    { path: "/readyz", handle: (_request, response) => sendReadiness(node, response) },
    {
      path: "/metrics",
      handle: async (_request, response) => send(response, 200, metrics.contentType, await metrics.render()),
    },
    {
      path: "/api/upstreams",
      handle: (_request, response) =>
        sendJson(
          response,
          200,
          node.upstreams().map((status) => viewUpstream(status, clock)),
        ),
    },
    { path: "/api/node", handle: (_request, response) => sendJson(response, 200, viewNode(site, startedMs)) },
    registrationsRoute({ directory: node.directory, clock }),
    staleRoute({ directory: node.directory, clock }),
    eventsRoute(site),
    whyRoute({ directory: node.directory, upstreams: () => node.upstreams(), events: site.events, clock }),
    openApiRoute(site.version),
    ...lookupRoutes({ lookups: node.gatewayLookups, listening: () => node.listening }),
  ];
}

/** Sends 200 while lookups are served as `lookup.ready` requires, else 503; with the state of each upstream. */
function sendReadiness(node: Node, response: Parameters<Route["handle"]>[1]): void {
  const isReady = node.isReady();
  const upstreams = node.upstreams().map(({ name, phase, mode, wasTried, isComplete, leftOut, lastError }) => ({
    name,
    phase,
    mode,
    tried: wasTried,
    complete: isComplete && leftOut.size === 0,
    ready: isAnswerable({ phase, mode, isComplete }),
    ...(leftOut.size === 0 ? {} : { leftOut: Object.fromEntries(leftOut) }),
    ...(lastError === undefined ? {} : { error: lastError }),
  }));
  const shared = node.sharedStore?.();
  const store = shared === undefined ? {} : { store: viewStore(shared) };
  sendJson(response, isReady ? 200 : 503, { ready: isReady, upstreams, ...store });
}

/** A node in `/api/node`. */
export type NodeView = ReturnType<typeof viewNode>;

/** Converts the state of a node to its JSON form. `startedMs` is monotonic. */
export function viewNode({ node, clock, version, roles }: HttpSite, startedMs: number) {
  const peers = node.peers?.() ?? [];
  const followers = node.followers?.() ?? [];
  const damage = node.damage?.() ?? {};
  const shared = node.sharedStore?.();
  const proxied = viewProxied(node);
  const global = viewGlobal(node);
  return {
    name: node.name,
    version,
    listen: node.listening,
    roles,
    uptime: Math.round((clock.nowMs() - startedMs) / 1000),
    registrations: node.directory.counts(),
    digest: node.directory.digest,
    ...(Object.keys(damage).length === 0 ? {} : { damage }),
    ...(proxied === null ? {} : { proxied }),
    ...(global === null ? {} : { global }),
    memory: viewMemory({ memory: node.memory(), onDisk: node.onDisk }),
    ...(shared === undefined ? {} : { store: viewStore(shared) }),
    ...(followers.length === 0 ? {} : { followers: viewFollowers(followers) }),
    ...(peers.length === 0 ? {} : { peers: peers.map(({ name, uri, isUp }) => ({ name, uri, up: isUp })) }),
  };
}

/** Those who follow the feeds of this node, at most MAX_FOLLOWERS of them; `current`: everything that has changed was sent. */
function viewFollowers(followers: ReturnType<NonNullable<Node["followers"]>>) {
  const list = followers.slice(0, MAX_FOLLOWERS).map(({ address, port, transport, name, isCurrent }) => ({
    peer: `${address.includes(":") ? `[${address}]` : address}:${port}`,
    transport,
    ...(name === undefined ? {} : { name }),
    current: isCurrent,
  }));
  return { count: followers.length, list };
}

/** A store that several instances share; `away` has the reason while it takes no writes. */
function viewStore(status: NonNullable<ReturnType<NonNullable<Node["sharedStore"]>>>) {
  const { awayReason, position, lag, pending, settled } = status;
  return {
    ...{ up: awayReason === undefined, ...(awayReason === undefined ? {} : { away: awayReason }), position, lag },
    // What was taken here while it was away, and is not in it yet; and what became of the rest.
    ...(pending === undefined ? {} : { pending, settled: Object.fromEntries(settled ?? []) }),
  };
}

/** The endpoints that are proxied, and those of them whose connection is gone; null: this node proxies none. */
function viewProxied(node: Node) {
  if (node.proxy?.() == null) return null;
  const sizes = node.tableSizes();
  return { endpoints: sizes["proxied-endpoints"] ?? 0, away: sizes["proxied-away"] ?? 0 };
}

/** The pool of RDs that a node is in; null: it is in none. `away` has the reason while names cannot be found there. */
function viewGlobal(node: Node) {
  const status = node.global?.();
  if (status === undefined) return null;
  const { key, pool, names, isPublished } = status;
  return {
    key,
    members: pool.members,
    ...(pool.awayReason === undefined ? {} : { away: pool.awayReason }),
    published: isPublished,
    names: names.wanted,
    announced: names.announced,
  };
}

/** Memory use in bytes; `limit` is absent where there is none. `onDisk`: registrations that are only on disk, for lack of memory. */
function viewMemory({ memory, onDisk }: Pick<Node, "onDisk"> & { memory: ReturnType<Node["memory"]> }) {
  const { total, used, accounts } = memory;
  return {
    ...(Number.isFinite(total) ? { limit: total } : {}),
    used,
    sources: [...accounts].map(([name, { used: bytes, guaranteed }]) => ({ name, used: bytes, guaranteed })),
    onDisk,
  };
}

function overview({ node, version, roles }: HttpSite): string {
  const { visible, superseded, stale } = node.directory.counts();
  const names = roles.map((role) => (role === "rd" ? "resource directory" : "lookup proxy")).join(" and ");
  const upstreams = node
    .upstreams()
    .map(
      ({ name, phase, registrations, leftOut }) =>
        `  ${name}: ${phase}, ${registrations} registrations${leftOut.size === 0 ? "" : `, left out: ${causes(leftOut)}`}`,
    );
  return [
    `Tributary ${version}: ${node.name}, ${names}`,
    `listening on ${node.listening.join(", ")}`,
    `${visible} registrations visible, ${superseded} superseded, ${stale} stale`,
    ...damageLines(node),
    ...(upstreams.length === 0 ? [] : ["", "upstreams:", ...upstreams]),
    "",
    "in a browser, this is a page",
    "",
    "/healthz            the process is alive",
    "/readyz             lookups are served",
    "/metrics            for Prometheus",
    "/api/node           this node",
    "/api/upstreams      its upstream RDs, with their capabilities",
    "/rd-lookup/ep       endpoint lookup (RFC 9176 section 6): link format, linkset, linkset+json, json",
    "/rd-lookup/res      resource lookup, the same",
    "/api/why            why an endpoint is shown or not: ?ep= &d=",
    "/api/events         what happened, also as server-sent events: ?ep= &d= &source= &after= &limit=",
    "/api/stale          how long what is stale is still shown",
    "/api/openapi.json   this interface, for programs (OpenAPI 3.1)",
    "/api/registrations  its records: ?ep= &d= &source= &state=visible|superseded|stale &limit= &after=",
    "",
  ].join("\n");
}

function damageLines(node: Node): string[] {
  return Object.entries(node.damage?.() ?? {}).map(
    ([setting, { leftOut, setAside }]) =>
      `${setting} was damaged: ${leftOut ?? "an unknown number of"} records left out, see ${setAside}`,
  );
}

function causes(leftOut: ReadonlyMap<string, number>): string {
  return [...leftOut].map(([cause, count]) => `${count} ${cause}`).join(", ");
}
