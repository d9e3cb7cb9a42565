import { pathReference } from "@tributary/lookup-interface";
import type { Environment } from "@tributary/runtime";
import { resourcePathOf } from "../composition/node-forwarding.js";
import type { DiscardedRegistration, NodeState } from "../composition/types.js";
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
  const { openNatsStore, SplitStore } = await import("@tributary/nats-store");
  const instance = Math.floor(env.random() * 2 ** 48)
    .toString(16)
    .padStart(12, "0");
  const shared = await openNatsStore({ env, instance }, config);
  const status = () => {
    const { isAway, reason = "it does not respond" } = shared.shared.health();
    return { ...shared.figures(), ...(isAway ? { awayReason: reason } : {}) };
  };
  if (config.journal === undefined) return { store: shared, rejected: shared.rejected, sharedStore: status };
  const { journal, rejected } = await openJournal(env, config.journal).catch(async (error: unknown) => {
    await shared.close();
    throw error;
  });
  let listener: ((discarded: DiscardedRegistration) => void) | undefined;
  const early: DiscardedRegistration[] = [];
  const store = new SplitStore({
    ...{ env, shared, journal },
    onDiscarded: (discarded) => {
      if (listener !== undefined) listener(discarded);
      else if (early.length < MAX_EARLY) early.push(discarded);
    },
  });
  return {
    store,
    get rejected() {
      return new Map([...shared.rejected, ...rejected]);
    },
    sharedStore: () => ({ ...status(), pending: store.pending, settled: store.settled }),
    onDiscarded: (next: (discarded: DiscardedRegistration) => void) => {
      listener = next;
      early.splice(0).forEach(next);
    },
  };
}

/** What is reported while a node starts, and waits for its event log. */
const MAX_EARLY = 1000;

async function openJournal({ logger, clock }: Environment, path: string) {
  const { openWriteJournal } = await import("@tributary/lmdb-store");
  return await openWriteJournal({ logger, clock }, { path, setting: "registration.store.nats.journal" });
}

/** Returns the message of an error of the stored state, of the pool, or of the security contexts; undefined for any other error. */
export function stateProblem(error: unknown): string | undefined {
  const { code, message } = error as { readonly code?: unknown; readonly message?: string };
  return STATE_ERRORS.has(code) ? message : undefined;
}

const STATE_ERRORS: ReadonlySet<unknown> = new Set([
  "STATE_IN_USE",
  "STATE_UNAVAILABLE",
  "STATE_UNSUITABLE",
  "POOL_BIND_FAILED",
  "KEY_UNSUITABLE",
  "IN_USE",
]);
