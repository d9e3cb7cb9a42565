import type { Environment } from "@tributary/coap-transport";
import type { NodeConfig } from "./config/types.js";
import type { NodeState } from "./node/types.js";

/** Reference above the registration resources. */
const HREF_PREFIX = "/reg/";

/** Opens what the configuration says is kept; the database is loaded only when something is. */
export function systemState(env: Environment, { registration, snapshot }: NodeConfig): NodeState {
  const deps = { logger: env.logger, wallMs: () => env.clock.wallMs(), random: env.random };
  const store = registration?.store;
  return {
    ...(store?.kind !== "lmdb"
      ? {}
      : {
          openRegistrations: async () => {
            const { openRegistrationState } = await import("@tributary/lmdb-store");
            return openRegistrationState(deps, { path: store.path, hrefPrefix: HREF_PREFIX });
          },
        }),
    ...(snapshot === undefined
      ? {}
      : {
          openReplicas: async () => {
            const { openReplicaSnapshot } = await import("@tributary/lmdb-store");
            return openReplicaSnapshot(deps, { path: snapshot });
          },
        }),
  };
}

/** Why kept state cannot be opened, or undefined for any other failure. */
export function stateProblem(error: unknown): string | undefined {
  const { code, message } = error as { readonly code?: unknown; readonly message?: string };
  return code === "STATE_IN_USE" || code === "STATE_UNAVAILABLE" ? message : undefined;
}
