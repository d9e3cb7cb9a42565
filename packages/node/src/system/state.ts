import { pathReference } from "@tributary/lookup-interface";
import type { Environment } from "@tributary/runtime";
import { resourcePathOf } from "../composition/node-forwarding.js";
import type { NodeState } from "../composition/types.js";
import type { NatsConfig, NodeConfig } from "../configuration/types.js";

/** Returns the stores that the configuration asks for. The database module is loaded only when it is needed. */
export function systemState(env: Environment, config: NodeConfig): NodeState {
  const { registration, snapshot } = config;
  const hrefPrefix = registrationHrefPrefix(config);
  const deps = { logger: env.logger, clock: env.clock, random: env.random };
  const store = registration?.store;
  return {
    ...(store === undefined || store.kind === "memory"
      ? {}
      : {
          openRegistrations: async () => {
            if (store.kind === "nats") return await openSharedRegistrations(env, store);
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

/** Path of the registration resources of a node, with a slash at its end. */
export function registrationHrefPrefix(config: NodeConfig): string {
  return `${pathReference(resourcePathOf(config))}/`;
}

/** Opens the store that this instance shares with others. The module is loaded only when it is needed. */
async function openSharedRegistrations(env: Environment, config: NatsConfig) {
  const { openNatsStore } = await import("@tributary/nats-store");
  const instance = Math.floor(env.random() * 2 ** 48)
    .toString(16)
    .padStart(12, "0");
  const store = await openNatsStore({ env, instance }, config);
  const sharedStore = () => {
    const { isAway, reason = "it does not respond" } = store.shared.health();
    return { ...store.figures(), ...(isAway ? { awayReason: reason } : {}) };
  };
  return { store, rejected: store.rejected, sharedStore };
}

/** Returns the message of an error of the stored state; undefined for any other error. */
export function stateProblem(error: unknown): string | undefined {
  const { code, message } = error as { readonly code?: unknown; readonly message?: string };
  return STATE_ERRORS.has(code) ? message : undefined;
}

const STATE_ERRORS: ReadonlySet<unknown> = new Set(["STATE_IN_USE", "STATE_UNAVAILABLE", "STATE_UNSUITABLE"]);
