import {
  DEFAULT_PORT,
  type Environment,
  listenCoap,
  openCoapClient,
  parseCoapUri,
  type TransportLimits,
} from "@tributary/coap-transport";
import type { LimitsConfig } from "./config/types.js";
import type { NodeNetwork } from "./node/types.js";

/** What a request may be larger than the registration that it carries: room for a clear refusal instead of a cut. */
const REQUEST_ROOM_BYTES = 16_384;
const ANY_ADDRESS: ReadonlySet<string> = new Set(["::", "0.0.0.0"]);

/** Real sockets, bounded by the configured limits. */
export function systemNetwork(
  env: Environment,
  { registrationBytes, observers, exchanges, transfers }: LimitsConfig,
): NodeNetwork {
  const limits: Partial<TransportLimits> = {
    maxRequestBytes: registrationBytes + REQUEST_ROOM_BYTES,
    maxObservers: observers,
    maxExchanges: exchanges,
    maxTransfers: transfers,
  };
  return {
    listen: (uri, handler) => listenCoap({ env, handler }, { uri, limits, multicast: isDiscoverable(uri) }),
    openClient: () => openCoapClient({ env }, {}),
  };
}

/** Whether "All CoAP Nodes" reaches this listener (RFC 7252 section 12.8): any address, default port. RFC 9176 section 4.1. */
function isDiscoverable(uri: string): boolean {
  const { host, port } = parseCoapUri(uri);
  return ANY_ADDRESS.has(host) && port === DEFAULT_PORT;
}
