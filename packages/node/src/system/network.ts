import {
  type CoapListenerHandle,
  createAmplificationGuard,
  DEFAULT_PORT,
  DEFAULT_STREAM_LIMITS,
  listenCoap,
  openCoapClient,
  parseCoapUri,
  type StreamLimits,
  type TransportLimits,
} from "@tributary/coap-transport";
import { createReplicaPolicy } from "@tributary/lookup-interface";
import type { Environment } from "@tributary/runtime";
import type { NodeNetwork } from "../composition/types.js";
import type { AmplificationConfig, LimitsConfig } from "../configuration/types.js";
import { NO_CREDENTIALS, type NodeCredentials } from "../credentials/read-credentials.js";
import type { SecurityContexts } from "../oscore/security-contexts.js";

/** Bytes by which a request may exceed the limit of registrations, so that it gets a specific error response. */
const REQUEST_ROOM_BYTES = 16_384;
const ANY_ADDRESS: ReadonlySet<string> = new Set(["::", "0.0.0.0"]);

/** The network of real sockets. */
export interface SystemNetwork extends NodeNetwork {
  /**
   * Uses other credentials for connections that are made from now on; others continue.
   * @throws {TransportError} BAD_ARGUMENT when they cannot be used; then nothing changes.
   */
  replaceCredentials(credentials: NodeCredentials): void;
}

/**
 * Creates a network of real sockets with the configured limits. Requests are protected one by one where `contexts` is given. Without `amplification` every source
 * address is trusted.
 */
export function systemNetwork(
  env: Environment,
  config: LimitsConfig,
  amplification: AmplificationConfig = { freeBytes: 0, trusted: ["any"] },
  credentials: NodeCredentials = NO_CREDENTIALS,
  contexts?: SecurityContexts,
): SystemNetwork {
  let current = credentials;
  const secured = new Set<CoapListenerHandle>();
  const { registrationBytes, observers, exchanges, transfers, answers, verifiedPeers } = config;
  const guard = createAmplificationGuard(env, {
    freeBytes: amplification.freeBytes,
    isTrusted: createReplicaPolicy(amplification.trusted),
    maxVerifiedPeers: verifiedPeers,
  });
  const limits: Partial<TransportLimits> = {
    maxRequestBytes: registrationBytes + REQUEST_ROOM_BYTES,
    maxObservers: observers,
    maxObserversPerClient: config.observersPerClient,
    maxExchanges: exchanges,
    maxTransfers: transfers,
    maxCachedResponses: answers,
  };
  const streamLimits: StreamLimits = {
    ...DEFAULT_STREAM_LIMITS,
    maxConnections: config.connections,
    maxConnectionsPerAddress: config.connectionsPerAddress,
    maxHandshakes: config.handshakes,
    maxHandshakesPerAddress: config.handshakesPerAddress,
    maxMessageBytes: config.messageBytes,
    maxQueuedBytes: config.queueBytes,
    maxRequestsPerConnection: config.connectionRequests,
    maxRequestBytesPerConnection: config.connectionRequestBytes,
  };
  return {
    async listen(uri, handler, { isConfigured, maxConnections = streamLimits.maxConnections, sharedConnections }) {
      const listener = await listenCoap(
        { env, handler },
        {
          ...{ uri, limits, multicast: isDiscoverable(uri), guard, isConfigured },
          streamLimits: { ...streamLimits, maxConnections },
          ...{ tls: current.server, sharedConnections, protection: contexts?.protection },
        },
      );
      if (listener.replaceTls !== undefined) secured.add(listener);
      return listener;
    },
    openClient: () =>
      openCoapClient(
        { env },
        {
          streamLimits: clientLimits(streamLimits),
          tls: (server) => current.clientFor(server),
          protect: (_uri, context) => (context === undefined ? null : (contexts?.protect(context) ?? null)),
        },
      ),
    replaceCredentials(next) {
      const { server } = next;
      // Without credentials there is no such listener in the new configuration, which takes effect after a restart.
      if (server !== undefined) for (const listener of secured) listener.replaceTls?.(server);
      current = next;
    },
  };
}

/** The limit of connections is for clients; the client side only connects to configured servers. */
function clientLimits(limits: StreamLimits): StreamLimits {
  return { ...limits, maxConnections: DEFAULT_STREAM_LIMITS.maxConnections };
}

/** Whether the listener joins the multicast groups for discovery (RFC 7252 section 12.8, RFC 9176 section 4.1): any address, default port. */
function isDiscoverable(uri: string): boolean {
  const { scheme, host, port } = parseCoapUri(uri);
  return scheme === "coap" && ANY_ADDRESS.has(host) && port === DEFAULT_PORT;
}
