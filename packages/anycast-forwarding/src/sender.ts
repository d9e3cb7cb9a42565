import { parseCoapUri, type ServerRequest } from "@tributary/coap-transport";
import type { ForwardingPeer } from "./types.js";

/**
 * The peers that a request may go on to: one that forwarded it to this node would get its own question back. Where several
 * peers have one address the sender is not known, and the hop limit alone ends a loop. Pure.
 */
export function peersBesidesSender(
  { hopLimit, peer: sender }: Pick<ServerRequest, "hopLimit" | "peer">,
  peers: readonly ForwardingPeer[],
): readonly ForwardingPeer[] {
  // Forwarded requests have a Hop-Limit; those that a node makes of its own have none.
  if (hopLimit === undefined) return peers;
  const senders = peers.filter(({ uri }) => parseCoapUri(uri).host === sender.address);
  return senders.length === 1 ? peers.filter((peer) => peer !== senders[0]) : peers;
}
