import { parseCoapUri, type ServerRequest } from "@tributary/coap-transport";
import type { ForwardingPeer } from "./types.js";

/**
 * Returns the peers to which a request may be forwarded: all but the one that it came from. Where several peers share an address
 * the sender is ambiguous, and only the hop limit ends a loop. Pure.
 */
export function peersExceptSender(
  { hopLimit, peer: sender }: Pick<ServerRequest, "hopLimit" | "peer">,
  peers: readonly ForwardingPeer[],
): readonly ForwardingPeer[] {
  // Forwarded requests have a Hop-Limit; requests that a node originates have none.
  if (hopLimit === undefined) return peers;
  const senders = peers.filter(({ uri }) => parseCoapUri(uri).host === sender.address);
  return senders.length === 1 ? peers.filter((peer) => peer !== senders[0]) : peers;
}
