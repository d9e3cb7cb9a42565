import type { CoapClient } from "@tributary/coap-transport";
import type { Discovered } from "./discovery.js";

/** RFC 8768 section 3: a request with this Hop-Limit is not forwarded. */
const NO_FURTHER = 1;

/**
 * The client for an upstream. A Tributary node without lookup proxy may forward lookups to one that it shares an address with
 * (draft 6.2.2), which may be the one that asks: it is told to answer with what it has itself. Other RDs may stand behind
 * a reverse proxy that would refuse, and are asked as ever. Pure.
 */
export function singleHopClient(client: CoapClient, found: Discovered | null): CoapClient {
  if (found?.isTributary !== true) return client;
  return {
    request: (request, control) => client.request({ ...request, hopLimit: NO_FURTHER }, control),
    observe: (request, listener, control) => client.observe({ ...request, hopLimit: NO_FURTHER }, listener, control),
    ping: (uri, control) => client.ping(uri, control),
    close: () => client.close(),
  };
}
