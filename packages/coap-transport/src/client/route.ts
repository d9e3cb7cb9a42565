import { TransportError } from "../errors.js";
import type { ParsedCoapUri } from "../message/coap-uri.js";
import type { HostNames } from "./host-names.js";
import type { RequestChannel } from "./request-channel.js";

/** A channel to the host that a URI names. */
export interface Route {
  readonly channel: RequestChannel;
  /** For names only: reports a failed request, so that the next one looks for another address. */
  readonly failed?: (error: unknown) => void;
  /** For names only: calls `listener` once when the name has moved to another address. Returns the unsubscribe function. */
  readonly onMoved?: (listener: (error: TransportError) => void) => () => void;
}

/** Puts the protection of single messages, such as OSCORE (RFC 8613), around the way to a peer. */
export type ProtectChannel = (channel: RequestChannel) => RequestChannel;

/** How requests to a server are protected one by one; null: they are not. `context` is that of the request, see `ClientRequest`. */
export type ChooseProtection = (uri: ParsedCoapUri, context?: string) => ProtectChannel | null;

/**
 * `connect`, with protection around the ways to those servers that have one.
 * @throws {TransportError} `BAD_ARGUMENT` where a request names a context that is not there: it must not leave unprotected.
 */
export function withProtection(
  connect: (uri: ParsedCoapUri) => Route | Promise<Route>,
  choose: ChooseProtection | undefined,
): (uri: ParsedCoapUri, context?: string) => Promise<Route> {
  return async (uri, context) => {
    const protect = choose?.(uri, context) ?? null;
    if (protect === null && context !== undefined)
      throw new TransportError("BAD_ARGUMENT", `there is no security context ${context}`);
    const route = await connect(uri);
    return protect === null ? route : { ...route, channel: protect(route.channel) };
  };
}

/**
 * Returns a channel to the address of a name that is in use, or to another one that works.
 * @throws {TransportError} when none of its addresses can be reached.
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
