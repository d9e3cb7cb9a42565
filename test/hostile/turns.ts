import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type MeasuredProcess, startServer } from "../bench/measured-process.js";
import { eventually, startTributary, type TributaryNode, temporaryFolder } from "../peers/peers.js";

/** The kernel accounts the CPU time of a thread that is running in ticks of this length, ms. */
const TICK_MS = 4;

/**
 * Longest turn of the event loop that one peer may cause, ms of CPU time without garbage collection, which is what other work on the
 * machine disturbs least: 20, as far as it can be measured.
 */
export const LONGEST_TURN_MS = 20 + TICK_MS;

/** Measurements of one thing, at most. */
const MOST_MEASUREMENTS = 5;

/** Longest pause of the garbage collector, ms. It counts by the clock: beside other work, what it waits for the processor too. */
export const LONGEST_COLLECTION_MS = 1000;

/** In ms, since they were asked for last, or since the start. */
export interface Longest {
  /** Turn of the event loop, CPU time without garbage collection. */
  readonly longestMs: number;
  readonly longestCollectionMs: number;
}

export interface MeasuredNode extends TributaryNode {
  longest(): Promise<Longest>;
}

export interface LargeNode extends MeasuredProcess {
  longestTurnMs(): Promise<number>;
  /** Every address, as URIs. */
  readonly listening: readonly string[];
}

/**
 * Repeats a measurement that exceeds `limitMs`, and returns the least of what was measured: a turn that the program makes long is
 * long each time, one that the machine made long is not.
 */
export async function leastOf(limitMs: number, measure: () => Promise<number>): Promise<number> {
  let leastMs = await measure();
  for (let count = 1; count < MOST_MEASUREMENTS && leastMs >= limitMs; count++)
    leastMs = Math.min(leastMs, await measure());
  return leastMs;
}

/** Start a node with registrations of its own, renewed `ageS` seconds ago, of which every turn of the event loop is measured. */
export async function startLargeNode(config: object, count: number, ageS = 0): Promise<LargeNode> {
  const { env, longest } = probe();
  const started = await startServer("../hostile/large-node.ts", [JSON.stringify(config), count, ageS], env);
  const listening = (/^listening (\S+)$/m.exec(started.stdout())?.[1] ?? "").split(",");
  const node = { ...started, listening, longestTurnMs: async () => (await longest(started)).longestMs };
  // What a process does while it starts is not a peer's doing.
  await node.longestTurnMs();
  return node;
}

/** Start a node of which every turn of the event loop is measured. */
export async function startMeasuredNode(config: object): Promise<MeasuredNode> {
  const { env, longest } = probe();
  const node = await startTributary({ config, env });
  return { ...node, longest: () => longest(node) };
}

/** What has a process measure its turns, and tell the longest one. */
function probe() {
  const file = join(temporaryFolder(), "turn");
  const script = pathToFileURL(fileURLToPath(new URL("turn-probe.mjs", import.meta.url)));
  return {
    env: { NODE_OPTIONS: `--import ${script}`, TURN_FILE: file },
    async longest(measured: { signal(signal: NodeJS.Signals): void }): Promise<Longest> {
      rmSync(file, { force: true });
      measured.signal("SIGUSR2");
      await eventually(() => existsSync(file), { what: "the longest turn" });
      return JSON.parse(readFileSync(file, "utf8")) as Longest;
    },
  };
}
