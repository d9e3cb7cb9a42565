import type { DemoHosts, HostRoles } from "./demo-hosts.js";
import { openDemoHosts } from "./demo-hosts.js";
import { Narrator } from "./narrator.js";

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
  tell(deps: { readonly tell: (line: string) => void; readonly signal: AbortSignal }): Promise<void>;
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
    async tell({ tell, signal }) {
      const hosts = await openDemoHosts(roles);
      const narrator = new Narrator({ clock: hosts.env.clock, tell, signal });
      try {
        await run({ hosts, narrator });
      } finally {
        narrator.close();
        await hosts.close();
      }
    },
  };
}
