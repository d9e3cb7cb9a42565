import { type CoapEndpoint, type CoapEndpointOptions, createCoapEndpoint } from "../udp/endpoint.js";
import { createRawPeer, type RawPeer } from "./raw-peer.js";
import { createVirtualWorld, type VirtualWorld } from "./virtual-world.js";

/** An endpoint in a world of its own, and how to talk to it by hand. */
export interface ServedEndpoint extends VirtualWorld {
  readonly endpoint: CoapEndpoint;
  /** A peer at 2001:db8::2, or at another address. */
  peer(address?: string, port?: number): RawPeer;
}

export const ENDPOINT_ADDRESS = "2001:db8::1";
export const ENDPOINT_PORT = 5683;
export const ENDPOINT_URI = `coap://[${ENDPOINT_ADDRESS}]`;

/** Serve (or just send from) `coap://[2001:db8::1]`, or at another address, also reachable as ff02::fd. */
export function serveEndpoint(
  options: CoapEndpointOptions = {},
  world: VirtualWorld = createVirtualWorld(),
  at = ENDPOINT_ADDRESS,
): ServedEndpoint {
  const socket = world.network.open(at, ENDPOINT_PORT, { groups: ["ff02::fd"] });
  const endpoint = createCoapEndpoint({ socket, env: world.env }, options);
  return {
    ...world,
    endpoint,
    peer: (address = "2001:db8::2", port = 40_000) => createRawPeer(world.network.open(address, port), endpoint.local),
  };
}
