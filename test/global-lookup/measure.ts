// npm run global-lookup -- --members 4,64: what lookups and announcements cost one member of pools of these sizes.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { generateAnnouncerKey, nameKey, openHyperdhtPool, type Pool } from "@tributary/global-lookup";
import type { Plot } from "../bench/figures.ts";
import { drawPlot } from "../bench/plots.ts";
import { freeUdpPort, memberAddress } from "./addresses.ts";
import { ENV } from "./environment.ts";

/** What one member sends and computes. */
interface Figures {
  readonly members: number;
  readonly announceMessages: number;
  readonly announceCpuMs: number;
  readonly lookupMessages: number;
  readonly lookupP50Ms: number;
  readonly lookupP99Ms: number;
  readonly absentMessages: number;
}

const NAMES = 300;
const { values } = parseArgs({
  options: {
    /** File for a plot, SVG. */
    plot: { type: "string" },
    members: { type: "string", default: "4,8,16,32,64" },
    /** The part of the child: as many members, at this port. */
    host: { type: "string" },
    port: { type: "string" },
  },
});

/** Measures one member of pools of several sizes; the other members are in another process. Prints a table. */
async function main(): Promise<void> {
  process.stdout.write("members  msg/announce  cpu ms/announce  msg/lookup  p50 ms  p99 ms  msg/absent\n");
  const rows: Figures[] = [];
  for (const members of values.members.split(",").map(Number)) {
    const one = await measure(members);
    const cells = [
      members,
      one.announceMessages,
      one.announceCpuMs,
      one.lookupMessages,
      one.lookupP50Ms,
      one.lookupP99Ms,
      one.absentMessages,
    ];
    const widths = [7, 14, 17, 12, 8, 8, 12];
    const row = cells.map((cell, index) => String(Math.round(cell * 10) / 10).padStart(widths[index] ?? 8));
    process.stdout.write(`${row.join("")}\n`);
    rows.push(one);
  }
  if (values.plot !== undefined) writeFileSync(values.plot, await drawPlot(plotOf(rows)));
}

function plotOf(rows: readonly Figures[]): Plot {
  const series = (name: string, read: (figures: Figures) => number) =>
    rows.map((figures) => ({ x: figures.members, y: read(figures), series: name }));
  return {
    file: "global-lookup.svg",
    title: "Messages of one member of the pool",
    x: "members",
    y: "requests to other members",
    isLogX: true,
    isLogY: false,
    points: [
      ...series("announcement of a name", ({ announceMessages }) => announceMessages),
      ...series("search for a name that nobody has", ({ absentMessages }) => absentMessages),
      ...series("search for a name", ({ lookupMessages }) => lookupMessages),
    ],
  };
}

async function measure(members: number): Promise<Figures> {
  const port = await freeUdpPort();
  const child = fork(new URL(import.meta.url).pathname, ["--host", String(members - 1), "--port", String(port)]);
  await once(child, "message");
  const pool = await openHyperdhtPool({ env: ENV, key: generateAnnouncerKey() }, optionsOf(members - 1, port));
  while (pool.status().members < Math.min(20, members - 1)) await new Promise((resolve) => setTimeout(resolve, 50));
  try {
    const announced = await perName(pool, "own", (name) => pool.announce(nameKey(name)));
    await tell(child, "announce");
    const found = await perName(pool, "other", (name) => first(pool, name));
    const absent = await perName(pool, "absent", async (name) => {
      if (await first(pool, name)) throw new Error(`${name} was found`);
    });
    return {
      members,
      announceMessages: announced.messages,
      announceCpuMs: announced.cpuMs,
      lookupMessages: found.messages,
      lookupP50Ms: percentile(found.durationsMs, 0.5),
      lookupP99Ms: percentile(found.durationsMs, 0.99),
      absentMessages: absent.messages,
    };
  } finally {
    child.kill();
    await pool.close();
  }
}

async function perName(pool: Pool, prefix: string, act: (name: string) => Promise<unknown>) {
  const before = pool.status().requests;
  const cpu = process.cpuUsage();
  const durationsMs: number[] = [];
  for (let index = 0; index < NAMES; index++) {
    const startMs = performance.now();
    await act(`${prefix}${index}`);
    durationsMs.push(performance.now() - startMs);
  }
  const { user, system } = process.cpuUsage(cpu);
  return {
    messages: (pool.status().requests - before) / NAMES,
    cpuMs: (user + system) / 1000 / NAMES,
    durationsMs: durationsMs.sort((one, other) => one - other),
  };
}

/** Whether a name is found; reads the record of nobody. */
async function first(pool: Pool, name: string): Promise<boolean> {
  const stop = new AbortController();
  for await (const _ of pool.find(nameKey(name), stop.signal)) {
    stop.abort();
    return true;
  }
  return false;
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function optionsOf(index: number, port: number) {
  return {
    listen: { host: memberAddress(index), port },
    bootstrap: [{ host: memberAddress(0), port }],
    // One member alone asks more than the members of a real pool would of each other.
    rate: { burst: 1e9, perSecond: 1e9 },
  };
}

async function tell(child: ChildProcess, what: string): Promise<void> {
  child.send(what);
  await once(child, "message");
}

/** The other members; the last of them announces what the parent looks up. */
async function host(count: number, port: number): Promise<void> {
  const pools: Pool[] = [];
  for (let index = 0; index < count; index++)
    pools.push(await openHyperdhtPool({ env: ENV, key: generateAnnouncerKey() }, optionsOf(index, port)));
  while ((pools.at(-1) as Pool).status().members < Math.min(20, count - 1))
    await new Promise((resolve) => setTimeout(resolve, 50));
  process.on("message", async () => {
    for (let index = 0; index < NAMES; index++) await pools.at(-1)?.announce(nameKey(`other${index}`));
    process.send?.("announced");
  });
  process.send?.("ready");
}

if (values.host === undefined) await main();
else await host(Number(values.host), Number(values.port));
