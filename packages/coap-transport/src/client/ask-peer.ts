import type { Environment } from "@tributary/runtime";
import type { AskPeer, Peer } from "../types.js";
import { Client } from "./coap-client.js";
import type { RequestChannel } from "./request-channel.js";

export interface AskPeerDeps {
  readonly env: Environment;
  /** Returns the way back to a peer. @throws {TransportError} UNREACHABLE when there is none any more. */
  readonly channelOf: (peer: Peer) => RequestChannel;
}

/** Returns the function by which a server sends requests to its clients. */
export function createAskPeer(
  { env, channelOf }: AskPeerDeps,
  options: { readonly scheme: string; readonly blockSize: number },
): AskPeer {
  const schemes = [options.scheme];
  return (peer, request, control) => {
    const connect = () => ({ channel: channelOf(peer) });
    return new Client({ env, connect, schemes, onClose: () => {} }, options).request(request, control);
  };
}
