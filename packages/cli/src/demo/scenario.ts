import type { DemoHosts, HostRoles } from "./demo-hosts.js";
import { openDemoHosts } from "./demo-hosts.js";
import { Narrator, type NarratorDeps } from "./narrator.js";

/** Time-out of lookups in a scenario: long, so that a busy machine gives no partial results. */
export const PATIENCE = "30s";

/** Hosts and narrator of a scenario. */
export interface Stage<Host extends string> {
  readonly hosts: DemoHosts<Host>;
  readonly narrator: Narrator;
}

/** A scenario of the demo. */
export interface DemoScenario {
  /** Section of the draft, or another short name: the value of `--scenario`. */
  readonly name: string;
  /** Summary in one line. */
  readonly summary: string;
  /** Plays it from start to end. Rejects when something expected does not happen. */
  play(deps: Omit<NarratorDeps, "clock">): Promise<void>;
}

/** Defines a scenario with its own hosts, which run while it is played. */
export function defineScenario<Host extends string>(scenario: {
  readonly name: string;
  readonly summary: string;
  readonly roles: HostRoles<Host>;
  readonly run: (stage: Stage<Host>) => Promise<void>;
}): DemoScenario {
  const { name, summary, roles, run } = scenario;
  return {
    name,
    summary,
    async play(deps) {
      const hosts = await openDemoHosts(roles, deps.packets);
      const narrator = new Narrator({ clock: hosts.env.clock, ...deps });
      try {
        await run({ hosts, narrator });
      } finally {
        narrator.close();
        await hosts.close();
      }
    },
  };
}
