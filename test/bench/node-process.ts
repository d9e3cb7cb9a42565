import { setTimeout as delay } from "node:timers/promises";
import { type MeasuredProcess, startServer } from "./measured-process.ts";

/** How a copy of all upstreams went. */
export interface Live {
  /** From the start of the node, without that of the process. */
  readonly ms: number;
  readonly bytes: number;
  readonly registrations: number;
}

/** Start a node with this configuration on a free port of loopback. */
export function startNode(config: object): Promise<MeasuredProcess> {
  return startServer("node-server.ts", [JSON.stringify({ listen: ["coap://127.0.0.1:0"], ...config })]);
}

/** Wait until every upstream of the node is live. */
export async function untilLive(node: MeasuredProcess, timeoutMs = 300_000): Promise<Live> {
  return JSON.parse(await untilPrinted(node, /^live (.*)$/m, timeoutMs)) as Live;
}

/** Wait for what a process says; the first group. */
export async function untilPrinted(process: MeasuredProcess, pattern: RegExp, timeoutMs: number): Promise<string> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const match = pattern.exec(process.stdout());
    if (match !== null) return match[1] ?? "";
    if (performance.now() > endMs) throw new Error(`nothing like ${pattern} in ${timeoutMs} ms`);
    await delay(5);
  }
}
