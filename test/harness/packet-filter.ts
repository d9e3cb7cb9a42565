import { execFileSync } from "node:child_process";
import type { NamespaceNetwork } from "./namespaces.js";

/** Packets to lose on their way from one host to another; without one of them, from or to whichever. */
export interface LossRule {
  readonly from?: string;
  readonly to?: string;
  /** How many of a hundred; 100 is a cut in this direction. */
  readonly percent: number;
}

const CHAIN = "inet faults forward";

/**
 * Loses packets on the router of a network, by nftables, which every kernel with namespaces has (the `netem` discipline is
 * often missing). A host's own traffic, and what its site's clients ask it from inside, is not touched.
 */
export class PacketFilter {
  readonly #router: string;
  readonly #rules = new Set<LossRule>();

  constructor(network: NamespaceNetwork) {
    this.#router = network.router;
    this.#nft(`add table inet faults\nadd chain ${CHAIN} { type filter hook forward priority 0; policy accept; }`);
  }

  /** Lose packets until the function that is returned is called. */
  lose(...rules: readonly LossRule[]): () => void {
    for (const rule of rules) this.#rules.add(rule);
    this.#load();
    return () => {
      for (const rule of rules) this.#rules.delete(rule);
      this.#load();
    };
  }

  #load(): void {
    const rules = [...this.#rules].map((rule) => `add rule ${CHAIN} ${ruleText(rule)}`);
    this.#nft([`flush chain ${CHAIN}`, ...rules].join("\n"));
  }

  #nft(script: string): void {
    execFileSync("ip", ["netns", "exec", this.#router, "nft", "-f", "-"], { input: `${script}\n` });
  }
}

/** The router's end of a host's link has the name of the host. */
function ruleText({ from, to, percent }: LossRule): string {
  return [
    ...(from === undefined ? [] : [`iifname "${from}"`]),
    ...(to === undefined ? [] : [`oifname "${to}"`]),
    ...(percent >= 100 ? [] : [`numgen random mod 100 < ${percent}`]),
    "drop",
  ].join(" ");
}
