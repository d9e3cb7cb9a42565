import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { eventually, startTributary, type TributaryNode, temporaryFolder } from "../peers/peers.js";

/**
 * Longest turn of the event loop that one peer may cause, ms of CPU time without garbage collection. The goal is 20 on a
 * machine at rest, where 15 were measured; beside other work the same instructions take up to twice the time of the processor.
 */
export const LONGEST_TURN_MS = 30;

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

/** Start a node of which every turn of the event loop is measured. */
export async function startMeasuredNode(config: object): Promise<MeasuredNode> {
  const file = join(temporaryFolder(), "turn");
  const probe = pathToFileURL(fileURLToPath(new URL("turn-probe.mjs", import.meta.url)));
  const node = await startTributary({ config, env: { NODE_OPTIONS: `--import ${probe}`, TURN_FILE: file } });
  return {
    ...node,
    async longest() {
      rmSync(file, { force: true });
      node.signal("SIGUSR2");
      await eventually(() => existsSync(file), { what: "the longest turn" });
      return JSON.parse(readFileSync(file, "utf8")) as Longest;
    },
  };
}
