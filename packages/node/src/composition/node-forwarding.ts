import { createRequestForwarding, type RequestForwarding, registrationPathOf } from "@tributary/anycast-forwarding";
import type { CoapClient } from "@tributary/coap-transport";
import { DEFAULT_REGISTRATION_LIMITS } from "@tributary/resource-directory";
import type { Environment } from "@tributary/runtime";
import type { NodeConfig } from "../configuration/types.js";

/** Returns the parent path of registration resources. It contains the name of a node with an anycast address (draft 6.2.2). Pure. */
export function resourcePathOf({ name, anycast }: Pick<NodeConfig, "name" | "anycast">): readonly string[] {
  return anycast === undefined ? ["reg"] : registrationPathOf(name);
}

/** Creates the forwarding to anycast peers; null without peers. */
export function createNodeForwarding(
  deps: { readonly client: CoapClient; readonly env: Environment },
  { name, anycast, registration, lookup, limits }: NodeConfig,
): RequestForwarding | null {
  if (anycast === undefined) return null;
  return createRequestForwarding(deps, {
    self: { name, takesRegistrations: registration !== undefined, answersLookups: lookup !== undefined },
    peers: anycast.peers.map((peer) => ({
      name: peer.name,
      uri: peer.uri,
      takesRegistrations: peer.registration,
      answersLookups: peer.lookup,
    })),
    timeoutMs: anycast.timeoutMs,
    failoverMs: anycast.failoverMs,
    concurrency: anycast.concurrency,
    observations: limits.observers,
    requiresFreshness: anycast.freshness === "echo",
    limits: { ...DEFAULT_REGISTRATION_LIMITS, registrationBytes: limits.registrationBytes },
  });
}
