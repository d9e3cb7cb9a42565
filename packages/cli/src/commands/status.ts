import type { NodeDamage, UpstreamView } from "@tributary/node";
import { type CommandIo, EXIT_FAILURE } from "../command-io.js";
import { NodeApiFailure, nodeApiUri, readNodeApi } from "../node-api.js";
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

/** `tributary status`: prints the upstreams of a running node as a table. Returns the exit status. */
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
  if (json) io.out(JSON.stringify(upstreams, null, 2));
  else if (upstreams.length === 0) io.out("no upstreams");
  else for (const line of formatTable(HEADINGS, upstreams.map(row), NUMERIC)) io.out(line);
  if (!json) for (const line of await damageLines(new URL("/api/node", at), timeout, fetch)) io.out(line);
  return 0;
}

/** Describes damage of the stored state; no lines where the node does not report any. */
async function damageLines(url: URL, timeout: number, fetch: typeof globalThis.fetch): Promise<string[]> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeout * 1000), redirect: "error" });
    const { damage } = (await response.json()) as { readonly damage?: NodeDamage };
    return Object.entries(damage ?? {}).map(
      ([setting, { leftOut, setAside }]) =>
        `${setting} was damaged: ${leftOut ?? "an unknown number of"} records left out; what is left of it: ${setAside}`,
    );
  } catch {
    return [];
  }
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
    transport === "tcp" && !uri.startsWith("coap+tcp:") ? `${method} (tcp)` : method,
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
