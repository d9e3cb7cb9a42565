import { pathReference } from "@tributary/lookup-interface";
import type { Environment } from "@tributary/runtime";
import { resourcePathOf } from "../composition/node-forwarding.js";
import type { NodeState } from "../composition/types.js";
import type { NodeConfig } from "../configuration/types.js";

/** Returns the stores that the configuration asks for. The database module is loaded only when it is needed. */
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
          openCopies: async () => {
            const { openCopySnapshot } = await import("@tributary/lmdb-store");
            return openCopySnapshot(deps, { path: snapshot });
          },
        }),
  };
}

/** Returns the message of an error of the state folder; undefined for any other error. */
export function stateProblem(error: unknown): string | undefined {
  const { code, message } = error as { readonly code?: unknown; readonly message?: string };
  return code === "STATE_IN_USE" || code === "STATE_UNAVAILABLE" ? message : undefined;
}
