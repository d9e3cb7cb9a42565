import type { Environment } from "@tributary/runtime";
import type { AskPeer, Peer } from "../types.js";
import { createClient } from "./coap-client.js";
import type { RequestChannel } from "./request-channel.js";

/** Requests of a server to those who speak to it, by the ways that they came. */
export function createAskPeer(
  deps: {
    readonly env: Environment;
    /** The way back to a peer. @throws {TransportError} UNREACHABLE when there is none any more. */
    readonly channelOf: (peer: Peer) => RequestChannel;
  },
  options: { readonly scheme: string; readonly blockSize: number },
): AskPeer {
  const { env, channelOf } = deps;
  const schemes = [options.scheme];
  return (peer, request, control) => {
    const connect = () => ({ channel: channelOf(peer) });
    return createClient({ env, connect, schemes, onClose: () => {} }, options).request(request, control);
  };
}
