import type { NodeView, UpstreamView } from "@tributary/node";
import { type CommandIo, EXIT_FAILURE } from "../command-io.js";
import { type NodeApiDeps, NodeApiFailure, nodeApiUri, readNodeApi } from "../node-api.js";
import { formatTable } from "../table.js";

/** Arguments of `tributary status`. */
export interface StatusOptions {
  readonly at: string;
  readonly json: boolean;
  /** Seconds. */
  readonly timeout: number;
}

const HEADINGS = [
  "NAME",
  "PHASE",
  "METHOD",
  "COVERAGE",
  "REGISTRATIONS",
  "LEFT OUT",
  "LAST CHANGE",
  "LAG",
  "ERROR",
] as const;
/** Right-aligned columns. */
const NUMERIC: ReadonlySet<number> = new Set([4]);
const MAX_COVERAGE_LENGTH = 40;

/** `tributary status`: prints what a running node says of itself, and its upstreams as a table. Returns the exit status. */
export async function status(
  { at, json, timeout }: StatusOptions,
  { io, fetch }: { readonly io: CommandIo; readonly fetch: typeof globalThis.fetch },
): Promise<number> {
  const url = nodeApiUri(at);
  let upstreams: readonly UpstreamView[];
  try {
    upstreams = readUpstreams(await readNodeApi(url, "/api/upstreams", { io, fetch, timeout }), url);
  } catch (error) {
    if (!(error instanceof NodeApiFailure)) throw error;
    io.err(`tributary: ${error.message}`);
    return EXIT_FAILURE;
  }
  if (json) {
    io.out(JSON.stringify(upstreams, null, 2));
    return 0;
  }
  const node = await readNode(url, { io, fetch, timeout });
  for (const line of nodeLines(node)) io.out(line);
  if (upstreams.length === 0) io.out("no upstreams");
  else for (const line of formatTable(HEADINGS, upstreams.map(row), NUMERIC)) io.out(line);
  for (const line of damageLines(node)) io.out(line);
  return 0;
}

/** The node itself; nothing where it does not say, as older versions do not. */
async function readNode(at: URL, deps: NodeApiDeps): Promise<Partial<NodeView>> {
  try {
    const value = await readNodeApi(at, "/api/node", deps);
    return typeof value === "object" && value !== null ? (value as Partial<NodeView>) : {};
  } catch (error) {
    if (error instanceof NodeApiFailure) return {};
    throw error;
  }
}

function nodeLines({
  name,
  version,
  roles = [],
  uptime = 0,
  listen = [],
  registrations,
  memory,
  store,
  global,
}: Partial<NodeView>): string[] {
  if (name === undefined) return [];
  const role = roles.map((one) => (one === "rd" ? "RD" : "lookup proxy")).join(" and ");
  const { visible = 0, superseded = 0, stale = 0 } = registrations ?? {};
  const limit = memory?.limit === undefined ? "" : ` of ${megabytes(memory.limit)}`;
  return [
    `${name} (${role}, version ${version}) up for ${ageText(uptime)}, at ${listen.join(", ")}`,
    `${visible} registrations shown, ${superseded} superseded, ${stale} stale; ${megabytes(memory?.used ?? 0)}${limit} of memory`,
    ...(store === undefined
      ? []
      : [`shared store: ${store.away === undefined ? "up" : `away: ${store.away}`}, position ${store.position}`]),
    ...(global === undefined ? [] : [poolLine(global)]),
    "",
  ];
}

function poolLine({ members, away, published, names, announced }: NonNullable<NodeView["global"]>): string {
  const state = away === undefined ? `${members} other members` : `away: ${away}`;
  const reach = published ? "" : ", this node is not to be found there";
  return `pool: ${state}, ${announced} of ${names} names announced${reach}`;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1_048_576)} MB`;
}

function damageLines({ damage }: Partial<NodeView>): string[] {
  return Object.entries(damage ?? {}).map(
    ([setting, { leftOut, setAside }]) =>
      `${setting} was damaged: ${leftOut ?? "an unknown number of"} records left out; what is left of it: ${setAside}`,
  );
}

function readUpstreams(value: unknown, { origin }: URL): readonly UpstreamView[] {
  if (!Array.isArray(value) || !value.every(isUpstreamView))
    throw new NodeApiFailure(`no status from ${origin}: it is not a Tributary node`);
  return value;
}

/** Checks only the members that every version has. */
function isUpstreamView(value: unknown): value is UpstreamView {
  if (typeof value !== "object" || value === null || !("phase" in value) || !("coverage" in value)) return false;
  return (
    typeof value.phase === "string" &&
    Array.isArray(value.coverage) &&
    "name" in value &&
    typeof value.name === "string"
  );
}

function row(upstream: UpstreamView): string[] {
  const { name, uri, phase, method, transport, complete, registrations, lastChangeAge, lag, error } = upstream;
  const phaseText = phase === "live" && !complete && upstream.mode === "replicate" ? "live (incomplete)" : phase;
  return [
    name,
    phaseText,
    transport === "tcp" && !/^coaps?\+tcp:/.test(uri) ? `${method} (tcp)` : method,
    coverageText(upstream),
    String(registrations),
    leftOutText(upstream),
    lastChangeAge === undefined ? "-" : `${ageText(lastChangeAge)} ago`,
    lag === undefined ? "-" : `${lag}s`,
    error ?? "",
  ];
}

/** Formats what is left out, by cause; older versions do not report it. */
function leftOutText({ leftOut = {} }: { readonly leftOut?: Readonly<Record<string, number>> }): string {
  const causes = Object.entries(leftOut).map(([cause, count]) => `${count} ${cause}`);
  return causes.length === 0 ? "-" : causes.join(", ");
}

function coverageText({ coverage }: UpstreamView): string {
  if (coverage.length === 0) return "none";
  if (coverage.includes("*")) return "all";
  const text = coverage.join(" or ");
  return text.length > MAX_COVERAGE_LENGTH ? `${text.slice(0, MAX_COVERAGE_LENGTH - 1)}…` : text;
}

/** Formats seconds in the largest unit that fits. */
function ageText(seconds: number): string {
  const unit = UNITS.find(([size]) => seconds >= size) ?? [1, "s"];
  return `${Math.floor(seconds / unit[0])}${unit[1]}`;
}

const UNITS: readonly (readonly [size: number, name: string])[] = [
  [86_400, "d"],
  [3600, "h"],
  [60, "m"],
  [1, "s"],
];
