import { type ClientRequest, type CoapOption, METHOD, type ServerRequest } from "@tributary/coap-transport";
import { pathReference } from "@tributary/lookup-interface";
import { FORWARDED_BASE_ITEM, implicitBase } from "@tributary/resource-directory";
import type { ForwardingPeer } from "./types.js";

/** A request as it goes to a peer, whichever that is. */
export interface ForwardedRequest extends Omit<ClientRequest, "uri" | "etags" | "confirmable"> {
  readonly path: readonly string[];
  readonly query: readonly string[];
  readonly hopLimit: number;
  readonly options: readonly CoapOption[];
}

/** What goes on of a request; `options` are those that are passed on as they are. Pure. */
export function forwardedRequest(
  request: ServerRequest,
  { hopLimit, options }: { readonly hopLimit: number; readonly options: readonly CoapOption[] },
): ForwardedRequest {
  const { method, path, query, accept, contentFormat, payload } = request;
  return {
    method,
    path,
    query,
    hopLimit,
    options,
    ...(accept === undefined ? {} : { accept }),
    ...(contentFormat === undefined ? {} : { contentFormat }),
    ...(payload.length === 0 ? {} : { payload }),
  };
}

export function toClientRequest(
  { path, ...request }: ForwardedRequest,
  peer: ForwardingPeer,
  etags: readonly Uint8Array[] = [],
): ClientRequest {
  return { ...request, uri: `${peer.uri}${pathReference(path)}`, ...(etags.length === 0 ? {} : { etags }) };
}

/**
 * The query of a registration or update as it goes on. Without `base` the RD takes the source address for it (RFC 9176
 * sections 5 and 5.3.1), which would be that of this node: so the address of the client goes along. It is not sent as `base`,
 * because that would fix a base that the endpoint left open, and on an update replace one that it once gave. Pure.
 */
export function withClientAddress(request: ServerRequest): readonly string[] {
  const { method, query } = request;
  // A node before this one knew the client.
  const isTold = query.some((item) => item.startsWith("base=") || item.startsWith(FORWARDED_BASE_ITEM));
  return method !== METHOD.POST || isTold ? query : [...query, FORWARDED_BASE_ITEM + implicitBase(request).base];
}
