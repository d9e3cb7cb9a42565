import {
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

/** What a request may be larger than the registration that it carries: room for a clear refusal instead of a cut. */
const REQUEST_ROOM_BYTES = 16_384;
const ANY_ADDRESS: ReadonlySet<string> = new Set(["::", "0.0.0.0"]);

/** Real sockets, bounded by the configured limits. Without `amplification` every source address is taken for true. */
export function systemNetwork(
  env: Environment,
  config: LimitsConfig,
  amplification: AmplificationConfig = { freeBytes: 0, trusted: ["any"] },
): NodeNetwork {
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
    maxAnswers: answers,
  };
  const streamLimits: StreamLimits = {
    ...DEFAULT_STREAM_LIMITS,
    maxConnections: config.connections,
    maxConnectionsPerAddress: config.connectionsPerAddress,
    maxMessageBytes: config.messageBytes,
    maxQueuedBytes: config.queueBytes,
    maxRequestsPerConnection: config.connectionRequests,
  };
  return {
    listen: (uri, handler) =>
      listenCoap({ env, handler }, { uri, limits, multicast: isDiscoverable(uri), guard, streamLimits }),
    openClient: () => openCoapClient({ env }, { streamLimits: clientLimits(streamLimits) }),
  };
}

/** Upstreams are few and configured: how many clients may connect says nothing of them. */
function clientLimits(limits: StreamLimits): StreamLimits {
  return { ...limits, maxConnections: DEFAULT_STREAM_LIMITS.maxConnections };
}

/** Whether "All CoAP Nodes" reaches this listener (RFC 7252 section 12.8): any address, default port. RFC 9176 section 4.1. */
function isDiscoverable(uri: string): boolean {
  const { scheme, host, port } = parseCoapUri(uri);
  return scheme === "coap" && ANY_ADDRESS.has(host) && port === DEFAULT_PORT;
}
