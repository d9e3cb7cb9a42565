import type { CoapClient } from "@tributary/coap-transport";
import { HERE_ONLY_HOP_LIMIT, TIER_HOP_LIMIT } from "@tributary/replication";
import type { Discovered } from "../discovery/discovery.js";

/**
 * The client for an upstream. A Tributary node may be a proxy as well, or forward lookups to one that it shares an address
 * with (draft 6.2.2), which may be the one that asks: the request says how far its response may reach. Other RDs may stand behind
 * a reverse proxy that would refuse, and are asked without a Hop-Limit. Pure.
 */
export function hopLimitedClient(client: CoapClient, found: Discovered | null): CoapClient {
  if (found?.isTributary !== true) return client;
  const hopLimit = found.isTier ? TIER_HOP_LIMIT : HERE_ONLY_HOP_LIMIT;
  return {
    request: (request, control) => client.request({ ...request, hopLimit }, control),
    observe: (request, listener, control) => client.observe({ ...request, hopLimit }, listener, control),
    ping: (uri, control) => client.ping(uri, control),
    close: () => client.close(),
  };
}
