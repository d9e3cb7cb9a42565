import { type ClientRequest, type CoapOption, METHOD, type ServerRequest } from "@tributary/coap-transport";
import { pathReference } from "@tributary/lookup-interface";
import { FORWARDED_BASE_ITEM, implicitBase } from "@tributary/resource-directory";
import type { ForwardingPeer } from "./types.js";

/** A forwarded request, independent of the peer that gets it. */
export interface ForwardedRequest extends Omit<ClientRequest, "uri" | "etags" | "confirmable"> {
  readonly path: readonly string[];
  readonly query: readonly string[];
  readonly hopLimit: number;
  readonly options: readonly CoapOption[];
}

/** Creates the forwarded form of a request; `options` are forwarded unchanged. Pure. */
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

/** Addresses a forwarded request to a peer. Pure. */
export function toClientRequest(
  { path, ...request }: ForwardedRequest,
  peer: ForwardingPeer,
  etags: readonly Uint8Array[] = [],
): ClientRequest {
  return { ...request, uri: `${peer.uri}${pathReference(path)}`, ...(etags.length === 0 ? {} : { etags }) };
}

/**
 * Returns the query of a forwarded registration or update. Without `base` the RD uses the source address (RFC 9176 sections 5
 * and 5.3.1), which is now the address of this node, so the address of the client is added. It is not sent as `base`: that would
 * make the base explicit, and an update would replace the explicit base of the registration. Pure.
 */
export function withClientAddress(request: ServerRequest): readonly string[] {
  const { method, query } = request;
  // Another node may have added it already.
  const hasBase = query.some((item) => item.startsWith("base=") || item.startsWith(FORWARDED_BASE_ITEM));
  return method !== METHOD.POST || hasBase ? query : [...query, FORWARDED_BASE_ITEM + implicitBase(request).base];
}
