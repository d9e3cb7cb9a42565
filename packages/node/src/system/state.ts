import { pathReference } from "@tributary/lookup-interface";
import type { Environment } from "@tributary/runtime";
import { resourcePathOf } from "../composition/node-forwarding.js";
import type { NodeState } from "../composition/types.js";
import type { NodeConfig } from "../configuration/types.js";

/** Opens what the configuration says is kept; the database is loaded only when something is. */
export function systemState(env: Environment, config: NodeConfig): NodeState {
  const { registration, snapshot } = config;
  const hrefPrefix = `${pathReference(resourcePathOf(config))}/`;
  const deps = { logger: env.logger, clock: env.clock, random: env.random };
  const store = registration?.store;
  return {
    ...(store?.kind !== "lmdb"
      ? {}
      : {
          openRegistrations: async () => {
            const { openRegistrationState } = await import("@tributary/lmdb-store");
            return openRegistrationState(deps, { path: store.path, hrefPrefix });
          },
        }),
    ...(snapshot === undefined
      ? {}
      : {
          openReplicas: async () => {
            const { openCopySnapshot } = await import("@tributary/lmdb-store");
            return openCopySnapshot(deps, { path: snapshot });
          },
        }),
  };
}

/** Why kept state cannot be opened, or undefined for any other failure. */
export function stateProblem(error: unknown): string | undefined {
  const { code, message } = error as { readonly code?: unknown; readonly message?: string };
  return code === "STATE_IN_USE" || code === "STATE_UNAVAILABLE" ? message : undefined;
}
