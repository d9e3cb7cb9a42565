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
