import type { DemoHosts, HostRoles } from "./demo-hosts.js";
import { openDemoHosts } from "./demo-hosts.js";
import { Narrator, type NarratorDeps } from "./narrator.js";

/** Deadline of lookups in a story: a busy machine is no reason for a partial answer. */
export const PATIENCE = "30s";

/** What a story is told with. */
export interface Stage<Host extends string> {
  readonly hosts: DemoHosts<Host>;
  readonly narrator: Narrator;
}

/** A story that the demo can tell. */
export interface DemoScenario {
  /** Section of the draft, or another short name: what is written after `--scenario`. */
  readonly name: string;
  /** What it shows, in one line. */
  readonly summary: string;
  /** Tell it from start to end. Rejects when what should happen does not. */
  tell(deps: Omit<NarratorDeps, "clock">): Promise<void>;
}

/** A scenario over hosts of its own, which are there for the time of the story. */
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
    async tell(deps) {
      const hosts = await openDemoHosts(roles);
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
