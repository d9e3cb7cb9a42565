import { Gauge, type Registry } from "prom-client";
import type { Node } from "../composition/types.js";

/** Adds the metrics of a node as a whole. */
export function addNodeMetrics(node: Node, registry: Registry, version: string): void {
  const registers = [registry];
  new Gauge({
    name: "tributary_build_info",
    help: "1, with the version of the program",
    labelNames: ["version"] as const,
    registers,
  }).set({ version }, 1);
  new Gauge({
    name: "tributary_ready",
    help: "1 while lookups are answered as far as lookup.ready asks for, else 0",
    registers,
    collect() {
      this.set(node.isReady() ? 1 : 0);
    },
  });
  new Gauge({
    name: "tributary_union_digest_info",
    help: "1, with the digest of everything that is shown: proxies that agree have the same",
    labelNames: ["digest"] as const,
    registers,
    collect() {
      this.reset();
      this.set({ digest: node.directory.digest }, 1);
    },
  });
}
