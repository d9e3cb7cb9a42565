import {
  createAmplificationGuard,
  DEFAULT_PORT,
  type Environment,
  listenCoap,
  openCoapClient,
  parseCoapUri,
  type TransportLimits,
} from "@tributary/coap-transport";
import { createReplicaPolicy } from "@tributary/resource-directory";
import type { AmplificationConfig, LimitsConfig } from "./config/types.js";
import type { NodeNetwork } from "./node/types.js";

/** What a request may be larger than the registration that it carries: room for a clear refusal instead of a cut. */
const REQUEST_ROOM_BYTES = 16_384;
const ANY_ADDRESS: ReadonlySet<string> = new Set(["::", "0.0.0.0"]);

/** Real sockets, bounded by the configured limits. Without `amplification` every source address is taken for true. */
export function systemNetwork(
  env: Environment,
  { registrationBytes, observers, exchanges, transfers, answers, verifiedPeers }: LimitsConfig,
  amplification: AmplificationConfig = { freeBytes: 0, trusted: ["any"] },
): NodeNetwork {
  const guard = createAmplificationGuard(env, {
    freeBytes: amplification.freeBytes,
    isTrusted: createReplicaPolicy(amplification.trusted),
    maxVerifiedPeers: verifiedPeers,
  });
  const limits: Partial<TransportLimits> = {
    maxRequestBytes: registrationBytes + REQUEST_ROOM_BYTES,
    maxObservers: observers,
    maxExchanges: exchanges,
    maxTransfers: transfers,
    maxAnswers: answers,
  };
  return {
    listen: (uri, handler) => listenCoap({ env, handler }, { uri, limits, multicast: isDiscoverable(uri), guard }),
    openClient: () => openCoapClient({ env }, {}),
  };
}

/** Whether "All CoAP Nodes" reaches this listener (RFC 7252 section 12.8): any address, default port. RFC 9176 section 4.1. */
function isDiscoverable(uri: string): boolean {
  const { host, port } = parseCoapUri(uri);
  return ANY_ADDRESS.has(host) && port === DEFAULT_PORT;
}
