import { TransportError } from "../errors.js";
import type { ParsedCoapUri } from "../message/coap-uri.js";
import type { HostNames } from "./host-names.js";
import type { RequestChannel } from "./request-channel.js";

/** The way to the host that a URI names. */
export interface Route {
  readonly channel: RequestChannel;
  /** Of a name only: nothing came by this way, so that the next request looks for another address. */
  readonly failed?: (error: unknown) => void;
  /** Of a name only: call `listener`, once, when the name has moved to another address; the result takes that back. */
  readonly onMoved?: (listener: (error: TransportError) => void) => () => void;
}

/** Puts the protection of single messages, such as OSCORE (RFC 8613), around the way to a peer. */
export type ProtectChannel = (channel: RequestChannel) => RequestChannel;

/** How requests to a server are protected one by one; null: they are not. */
export type ChooseProtection = (uri: ParsedCoapUri) => ProtectChannel | null;

/** `connect`, with protection around the ways to those servers that have one. */
export function withProtection(
  connect: (uri: ParsedCoapUri) => Route | Promise<Route>,
  choose: ChooseProtection | undefined,
): (uri: ParsedCoapUri) => Promise<Route> {
  return async (uri) => {
    const protect = choose?.(uri) ?? null;
    const route = await connect(uri);
    return protect === null ? route : { ...route, channel: protect(route.channel) };
  };
}

/**
 * A way to the address of a name that is in use, or to one that works.
 * @throws {TransportError} what keeps all of its addresses from being reached.
 */
export async function routeToName(
  names: HostNames,
  target: ParsedCoapUri,
  channelTo: (address: string) => Promise<RequestChannel>,
): Promise<Route> {
  const address = await names.addressOf(target);
  try {
    return routeTo(names, target, address, await channelTo(address));
  } catch (error) {
    noteFailure(names, target, address, error);
    const other = await names.addressOf(target);
    if (other === address) throw error;
    return routeTo(names, target, other, await channelTo(other));
  }
}

function routeTo(names: HostNames, target: ParsedCoapUri, address: string, channel: RequestChannel): Route {
  return {
    channel,
    failed: (error) => noteFailure(names, target, address, error),
    onMoved: (listener) => names.watch(target, address, listener),
  };
}

function noteFailure(names: HostNames, target: ParsedCoapUri, address: string, error: unknown): void {
  if (!(error instanceof TransportError)) return;
  if (error.code === "UNREACHABLE" || error.code === "TIMEOUT")
    names.failed(target, address, error.code === "UNREACHABLE");
}
