/**
 * `watch-lookups.ts URI`: a client that asks one lookup proxy all the time. Small lookups ten times a second, whole ones twice;
 * what it sees goes to stdout (see `Sighting`). SIGTERM: end.
 */
import { type ClientResponse, formatCode, openCoapClient } from "@tributary/coap-transport";
import { type Link, parseLinkFormat } from "@tributary/link-model";
import { silentLogger, systemClock } from "@tributary/runtime";
import type { Sighting } from "./sightings.ts";

const ASK_EVERY_MS = 100;
const SWEEP_EVERY_MS = 500;
const TIMEOUT_MS = 5000;
const STATUS = "http://127.0.0.1:8683/api/upstreams";

const lp = process.argv[2] ?? "";
const client = await openCoapClient({ env: { clock: systemClock(), random: Math.random, logger: silentLogger } }, {});
let shown = new Map<string, string>();
let links = new Map<string, string>();
let turn = 0;

function tell(sighting: Sighting): void {
  process.stdout.write(`${JSON.stringify(sighting)}\n`);
}

async function get(path: string, query: readonly string[]): Promise<ClientResponse | null> {
  try {
    return await client.request({ method: 1, uri: `${lp}/rd-lookup/${path}`, query }, { timeoutMs: TIMEOUT_MS });
  } catch {
    return null;
  }
}

/** One small lookup, for an endpoint that was seen or one that does not exist. */
async function ask(): Promise<void> {
  const names = [...shown.keys()];
  const ep = names[turn++ % Math.max(1, names.length)] ?? "nobody";
  const sentMs = Date.now();
  const response = await get(turn % 2 === 0 ? "ep" : "res", [`ep=${ep}`]);
  const tookMs = Date.now() - sentMs;
  tell({ kind: "asked", sentMs, tookMs, ...(response === null ? {} : { code: formatCode(response.code) }) });
}

function readLinks(response: ClientResponse | null): Link[] | null {
  if (response === null || formatCode(response.code) !== "2.05") return null;
  const parsed = parseLinkFormat(response.payload);
  return parsed.ok ? parsed.links : null;
}

function attribute({ attributes }: Link, name: string): string {
  return attributes.find(([key]) => key === name)?.[1] ?? "";
}

/** An RD's own registrations are paths on the host that was asked. */
function absolute(href: string): string {
  return href.startsWith("/") ? `${lp}${href}` : href;
}

async function sweepEndpoints(): Promise<boolean> {
  const atMs = Date.now();
  const listed = readLinks(await get("ep", []));
  const tookMs = Date.now() - atMs;
  if (listed === null) {
    for (const [ep, href] of shown) tell({ kind: "gone", lastMs: lastSeenMs, ep, href });
    shown = new Map();
    return false;
  }
  const seen = new Map<string, string>();
  for (const link of listed) {
    const ep = attribute(link, "ep");
    const href = absolute(link.target);
    const other = seen.get(ep);
    if (other !== undefined) tell({ kind: "double", atMs, ep, hrefs: [other, href] });
    seen.set(ep, href);
  }
  for (const [ep, href] of shown) if (seen.get(ep) !== href) tell({ kind: "gone", lastMs: lastSeenMs, ep, href });
  for (const [ep, href] of seen) if (shown.get(ep) !== href) tell({ kind: "shown", atMs, ep, href });
  tell({ kind: "listed", atMs, tookMs });
  shown = seen;
  lastSeenMs = atMs;
  return true;
}

/** Endpoints by the number in their base: links carry no name. */
function namesByBase(): Map<string, string> {
  return new Map([...shown.keys()].map((ep) => [Number(ep.replace(/\D+/, "")).toString(16), ep]));
}

async function sweepLinks(): Promise<boolean> {
  const names = namesByBase();
  const listed = readLinks(await get("res", ["provenance"]));
  if (listed === null) return false;
  const groups = new Map<string, Map<string, number>>();
  for (const link of listed) {
    const ep = names.get(/^coap:\/\/\[2001:db8:e::([0-9a-f]*)\]/.exec(link.target)?.[1] || "0");
    if (ep === undefined) continue;
    const group = groups.get(ep) ?? new Map<string, number>();
    const origin = `${absolute(attribute(link, "provenance"))} ${attribute(link, "ed")}`;
    groups.set(ep, group.set(origin, (group.get(origin) ?? 0) + 1));
  }
  const digests = new Map<string, string>();
  for (const [ep, group] of groups)
    digests.set(ep, [...group].map(([origin, count]) => `${origin} ${count}`).join(", "));
  for (const ep of links.keys()) if (!digests.has(ep)) tell({ kind: "links", ep, digest: "" });
  for (const [ep, digest] of digests) if (links.get(ep) !== digest) tell({ kind: "links", ep, digest });
  links = digests;
  return true;
}

async function readStatus(): Promise<void> {
  const atMs = Date.now();
  try {
    const answer = await fetch(STATUS, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    const upstreams = (await answer.json()) as { complete: boolean }[];
    tell({ kind: "status", atMs, complete: upstreams.filter(({ complete }) => complete).length });
  } catch {
    // It is down.
  }
}

let lastSeenMs = Date.now();
process.on("SIGTERM", () => process.exit(0));
setInterval(() => void ask(), ASK_EVERY_MS);
for (;;) {
  const startMs = Date.now();
  void readStatus();
  if ((await sweepEndpoints()) && (await sweepLinks())) tell({ kind: "swept", atMs: startMs, endpoints: shown.size });
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, startMs + SWEEP_EVERY_MS - Date.now())));
}
