import { createHash } from "node:crypto";
import {
  type CoapEndpointOptions,
  createAmplificationGuard,
  createCoapEndpoint,
  type DatagramSocket,
  DEFAULT_STREAM_LIMITS,
  parseCoapUri,
  type ServerProtection,
  type StreamLimits,
  type TransportLimits,
} from "@tributary/coap-transport";
import {
  createVirtualWorld,
  serveStreamsAt,
  type VirtualStreams,
  type VirtualWorld,
} from "@tributary/coap-transport/testing";
import { createReplicaPolicy } from "@tributary/lookup-interface";
import type { Node, NodeConfig, NodeNetwork } from "@tributary/node";
import { checkConfig, createNode } from "@tributary/node";
import { type Logger, silentLogger } from "@tributary/runtime";
import { Finding } from "./surface.ts";

/** A world whose logger takes an error for what it is: input must not cause any. */
export interface WatchedWorld extends VirtualWorld {
  /** @throws {Finding} when something was logged as an error since. */
  assertNoErrors(): void;
}

export function watchedWorld(seed = 1): WatchedWorld {
  const errors: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    error: (message, fields) => errors.push(`${message} ${describeFields(fields)}`),
  };
  const world = createVirtualWorld({ seed, logger });
  return {
    ...world,
    assertNoErrors() {
      const [first] = errors.splice(0);
      if (first !== undefined) throw new Finding(`logged as an error: ${first}`);
    },
  };
}

function describeFields(fields: object | undefined): string {
  return JSON.stringify(fields ?? {}, (_key, value) => (value instanceof Error ? value.stack : value));
}

export interface VirtualNodeOptions {
  /** Text of a configuration file; `listen` with an IPv6 address. */
  readonly config: string;
  readonly limits?: Partial<TransportLimits>;
  /** Sees, and may change, the sockets that the node listens with. */
  readonly wrap?: (socket: DatagramSocket) => DatagramSocket;
  /** Carries `coap+tcp` listeners. */
  readonly streams?: VirtualStreams;
  /** Opens protected requests over UDP. */
  readonly protection?: ServerProtection;
  /** Where requests of the node itself come from. */
  readonly clientAddress: string;
}

export interface VirtualNode extends Node {
  readonly config: NodeConfig;
}

/** A whole node in a virtual world. */
export async function openVirtualNode(world: VirtualWorld, options: VirtualNodeOptions): Promise<VirtualNode> {
  const checked = checkConfig(options.config, "virtual.yaml");
  if (!checked.ok) throw new Error(checked.errors.map(({ message }) => message).join("\n"));
  const { config } = checked;
  const { amplification, limits } = config;
  const guard = createAmplificationGuard(world, {
    freeBytes: amplification.freeBytes,
    isTrusted: createReplicaPolicy(amplification.trusted),
    maxVerifiedPeers: limits.verifiedPeers,
  });
  const transportLimits: Partial<TransportLimits> = {
    maxRequestBytes: limits.registrationBytes + 16_384,
    maxObservers: limits.observers,
    maxObserversPerClient: limits.observersPerClient,
    maxExchanges: limits.exchanges,
    maxTransfers: limits.transfers,
    ...options.limits,
  };
  const wrap = options.wrap ?? ((socket: DatagramSocket) => socket);
  const network: NodeNetwork = {
    async listen(uri, handler, { isConfigured }) {
      const { scheme, host, port } = parseCoapUri(uri);
      if (scheme === "coap+tcp" && options.streams !== undefined) {
        const served = { guard, limits: transportLimits, streamLimits: streamLimitsOf(limits) };
        return serveStreamsAt({ ...world, streams: options.streams, handler }, { address: host, port }, served);
      }
      const socket = wrap(world.network.open(host, port, { groups: ["ff02::fd"] }));
      const { protection } = options;
      const served: CoapEndpointOptions = { handler, guard, limits: transportLimits, isConfigured, protection };
      const endpoint = createCoapEndpoint({ socket, env: world.env }, served);
      return Object.assign(endpoint, { uri });
    },
    openClient: async () =>
      createCoapEndpoint({ socket: world.network.open(options.clientAddress, 0), env: world.env }, {}),
  };
  const node = await createNode(
    { env: world.env, network, nodeId: createHash("sha256").update(options.clientAddress).digest("hex").slice(0, 16) },
    config,
  );
  return Object.assign(node, { config });
}

function streamLimitsOf(limits: NodeConfig["limits"]): StreamLimits {
  return {
    ...DEFAULT_STREAM_LIMITS,
    maxConnections: limits.connections,
    maxConnectionsPerAddress: limits.connectionsPerAddress,
    maxMessageBytes: limits.messageBytes,
    maxQueuedBytes: limits.queueBytes,
    maxRequestsPerConnection: limits.connectionRequests,
    maxRequestBytesPerConnection: limits.connectionRequestBytes,
  };
}

/** What is left in the tables of a node without upstreams once everything is over, whatever it speaks. */
const IDLE_TABLES: Readonly<Record<string, number>> = {
  handlers: 0,
  observers: 0,
  uploads: 0,
  "retained-bodies": 0,
  requests: 0,
  "late-acknowledgements": 0,
  queued: 0,
  "simple-fetches": 0,
  "cached-answers": 0,
  "cached-bytes": 0,
  "observed-answers": 0,
  "forwarded-requests": 0,
  forwarded: 0,
  "forwarded-observations": 0,
  "forwarded-documents": 0,
  "ending-lifetimes": 0,
  dormant: 100_000,
  // Those who have registered what is dormant.
  registrants: 100_000,
  "on-disk": 0,
};

/** @throws {Finding} when more is left in a table than there, or in `most`. */
export function assertAtRest(node: Node, most: Readonly<Record<string, number>>): void {
  for (const [table, size] of Object.entries(node.tableSizes())) {
    const bound = most[table] ?? IDLE_TABLES[table];
    if (bound === undefined) throw new Finding(`table ${table} has no bound here`);
    if (size > bound) throw new Finding(`${size} entries are left in table ${table}, at most ${bound} may be`);
  }
}

/** Let virtual time pass until `promise` is settled. */
export async function settled<T>(world: VirtualWorld, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settle = (): void => {
    isSettled = true;
  };
  promise.then(settle, settle);
  await world.clock.runUntil(() => isSettled);
  return await promise;
}
