import { setTimeout as pause } from "node:timers/promises";
import { startLoad } from "./load.ts";
import { type SoakedNode, startSoakedNode } from "./soaked-node.ts";
import { fitTrend, type Trend } from "./trend.ts";

export interface SoakOptions {
  readonly minutes: number;
  readonly seed?: number;
  readonly onProgress?: (line: string) => void;
}

export interface SoakReport {
  readonly trends: Readonly<Record<"directory" | "proxy", Trend>>;
  readonly counts: ReadonlyMap<string, number>;
  /** What is wrong; empty when all is well. */
  readonly failures: readonly string[];
}

const MINUTE_MS = 60_000;
const MIB = 1_048_576;
const PROGRESS_MS = 30_000;
/**
 * Messages are remembered for 247 s, addresses for 10 minutes, ended registrations for their lifetime: until then memory
 * grows because it should. A shorter soak is measured while the tables fill, and allowed what they take.
 */
const WARM_UP_MS = 12 * MINUTE_MS;
const SHORT_WARM_UP_SHARE = 0.4;
/** The history of removals for the feed goes on filling: 230 bytes each, 100 000 at most, which is no leak. */
const MAX_SLOPE_MIB = 1;
const MAX_SLOPE_WHILE_FILLING_MIB = 30;
/** Longer delays of the event loop are no longer the machine's. */
const MAX_DELAY_MS = 1000;

/** Load an RD and a proxy, both real processes, for so long, and fit the trend of their memory. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const strict = { http: false, limits: { registrations: 5000, observers: 500 }, amplification: { trusted: [] } };
  const listen = ["coap://[::1]:0"];
  const directory = await startSoakedNode({ name: "soak-rd", listen, registration: {}, lookup: {}, ...strict });
  try {
    const upstreams = [{ name: "rd", uri: directory.uri }];
    const proxy = await startSoakedNode({ name: "soak-lp", listen, lookup: { upstreams }, ...strict });
    try {
      return await soakBoth({ directory, proxy }, options);
    } finally {
      await proxy.stop();
    }
  } finally {
    await directory.stop();
  }
}

type Nodes = Readonly<Record<"directory" | "proxy", SoakedNode>>;

async function soakBoth(nodes: Nodes, { minutes, seed = 1, onProgress }: SoakOptions): Promise<SoakReport> {
  const untilMs = performance.now() + minutes * MINUTE_MS;
  const load = await startLoad({ rd: nodes.directory.uri, proxy: nodes.proxy.uri, seed });
  for (let leftMs = untilMs - performance.now(); leftMs > 0; leftMs = untilMs - performance.now()) {
    await pause(Math.min(leftMs, PROGRESS_MS));
    onProgress?.(progressLine(nodes));
  }
  await load.stop();
  const isLong = minutes * MINUTE_MS > WARM_UP_MS * 1.5;
  const warmUpMs = isLong ? WARM_UP_MS : minutes * MINUTE_MS * SHORT_WARM_UP_SHARE;
  const trends = {
    directory: fitTrend(nodes.directory.samples, warmUpMs),
    proxy: fitTrend(nodes.proxy.samples, warmUpMs),
  };
  const maxSlope = isLong ? MAX_SLOPE_MIB : MAX_SLOPE_WHILE_FILLING_MIB;
  const failures = (["directory", "proxy"] as const).flatMap((name) =>
    failuresOf(name, nodes[name], trends[name], maxSlope),
  );
  if ((load.counts.get("lookups") ?? 0) === 0) failures.push("no lookup was answered");
  return { trends, counts: load.counts, failures };
}

function failuresOf(name: string, { errors, ended }: SoakedNode, trend: Trend, maxSlope: number): string[] {
  const failures: string[] = [];
  if (ended !== null) failures.push(`${name} ended with ${ended}`);
  if (errors[0] !== undefined) failures.push(`${name} logged ${errors.length} errors, the first: ${errors[0]}`);
  const slope = trend.liveBytesPerMinute / MIB;
  if (slope > maxSlope)
    failures.push(`${name} grows by ${slope.toFixed(2)} MiB a minute, ${maxSlope} is the most allowed`);
  if (trend.longestMs > MAX_DELAY_MS) failures.push(`${name} was busy for ${Math.round(trend.longestMs)} ms in one go`);
  return failures;
}

function progressLine(nodes: Nodes): string {
  return (["directory", "proxy"] as const)
    .map((name) => {
      const last = nodes[name].samples.at(-1);
      if (last === undefined) return `${name}: no sample yet`;
      const { liveBytes, rss, delayMs } = last;
      return `${name}: ${(liveBytes / MIB).toFixed(1)} MiB live, ${(rss / MIB).toFixed(0)} MiB resident, p99 ${delayMs.toFixed(0)} ms`;
    })
    .join("; ");
}

/** A report in lines. */
export function describeSoak({ trends, counts, failures }: SoakReport): string {
  const lines = Object.entries(trends).map(
    ([name, { liveBytesPerMinute, firstBytes, lastBytes, rss, delayMs, longestMs, samples }]) =>
      `${name}: ${(liveBytesPerMinute / MIB).toFixed(2)} MiB a minute over ${samples} samples ` +
      `(${(firstBytes / MIB).toFixed(1)} to ${(lastBytes / MIB).toFixed(1)} MiB live, ${(rss / MIB).toFixed(0)} MiB resident), ` +
      `event loop p99 ${delayMs.toFixed(0)} ms, longest ${longestMs.toFixed(0)} ms`,
  );
  lines.push([...counts].map(([what, count]) => `${count} ${what}`).join(", "));
  return [...lines, ...failures.map((failure) => `failed: ${failure}`)].join("\n");
}
