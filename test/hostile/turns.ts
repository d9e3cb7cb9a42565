import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { eventually, startTributary, type TributaryNode, temporaryFolder } from "../peers/peers.js";

/**
 * Longest turn of the event loop that one peer may cause, ms of CPU time without garbage collection. The goal is 20 on a
 * machine at rest; beside other work the same instructions take up to twice the time of the processor.
 */
export const LONGEST_TURN_MS = 50;

export interface MeasuredNode extends TributaryNode {
  /** The longest turn since the last call, or since the start, in ms of CPU time. */
  longestTurnMs(): Promise<number>;
}

/** Start a node of which every turn of the event loop is measured. */
export async function startMeasuredNode(config: object): Promise<MeasuredNode> {
  const file = join(temporaryFolder(), "turn");
  const probe = pathToFileURL(fileURLToPath(new URL("turn-probe.mjs", import.meta.url)));
  const node = await startTributary({ config, env: { NODE_OPTIONS: `--import ${probe}`, TURN_FILE: file } });
  return {
    ...node,
    async longestTurnMs() {
      rmSync(file, { force: true });
      node.signal("SIGUSR2");
      await eventually(() => existsSync(file), { what: "the longest turn" });
      return Number(readFileSync(file, "utf8"));
    },
  };
}
