import type { CoapClient } from "@tributary/coap-transport";
import type { Directory } from "@tributary/merge-engine";
import { EPOCH_LIMIT } from "@tributary/replication";
import {
  createFeedPublisher,
  createMemoryStore,
  createResourceDirectory,
  type FeedPublisher,
  type ProxyOptions,
  type ResourceDirectory,
  registrationsOfSource,
} from "@tributary/resource-directory";
import type { Environment } from "@tributary/runtime";
import type { NodeConfig } from "../configuration/types.js";
import { LOCAL_SOURCE } from "./memory-plan.js";
import { resourcePathOf } from "./node-forwarding.js";
import type { NodeState } from "./types.js";

type OpenedRegistrations = Awaited<ReturnType<NonNullable<NodeState["openRegistrations"]>>>;

/** Collaborators of `openOwnDirectory`. */
export interface OwnDirectoryDeps {
  readonly directory: Directory;
  readonly client: CoapClient;
  readonly env: Environment;
  readonly state?: NodeState;
  /** Present where endpoints are proxied. */
  readonly proxy?: ProxyOptions;
  /** Called when registrations that were only on disk are in memory, or the other way round. */
  readonly onCompleteness: () => void;
}

/** The RD of a node: registrations, their store, and their feed. */
export interface OwnDirectory {
  readonly registrations: ResourceDirectory;
  readonly feed: FeedPublisher;
  /** The opened store; null: registrations are only in memory. */
  readonly stored: OpenedRegistrations | null;
}

/** Opens the store and starts the RD of a node. Resolves when stored registrations are loaded. */
export async function openOwnDirectory(deps: OwnDirectoryDeps, config: NodeConfig): Promise<OwnDirectory> {
  const { directory, client, env, state, onCompleteness } = deps;
  const { limits } = config;
  const stored = (await state?.openRegistrations?.()) ?? null;
  const store = stored?.store ?? createMemoryStore(Math.floor(env.random() * EPOCH_LIMIT));
  directory.openSource(LOCAL_SOURCE, { authority: null });
  const registrations = createResourceDirectory(
    { directory, store, client, env },
    {
      source: LOCAL_SOURCE,
      resourcePath: resourcePathOf(config),
      limits: { registrations: limits.registrations, registrationBytes: limits.registrationBytes },
      requiresFreshness: config.registration?.freshness === "echo",
      ...(deps.proxy === undefined ? {} : { proxy: deps.proxy }),
      onCompleteness,
    },
  );
  const feed = createFeedPublisher(
    { directory, env },
    {
      publishes: registrationsOfSource(directory, LOCAL_SOURCE, registrations),
      epoch: store.epoch,
      ...(stored?.history === undefined ? {} : { history: stored.history }),
    },
  );
  return { registrations, feed, stored };
}
