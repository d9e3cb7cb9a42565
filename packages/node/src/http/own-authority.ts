import { defaultPortOf, formatAuthority, type LocalAddress, parseCoapUri } from "@tributary/coap-transport";

/** A URI of this node over CoAP without path, and the same as an address. */
export interface OwnAuthority {
  readonly authority: string;
  readonly local: LocalAddress;
}

/**
 * Returns the CoAP URI of this node for somebody who reached it at `address` over another protocol: a listener at that address,
 * one at all addresses, or the first one. Over UDP rather than TCP. `listening` is not empty. Pure.
 */
export function ownAuthority(listening: readonly string[], address: string): OwnAuthority {
  const reached = address.replace(/^::ffff:/i, "");
  const listeners = listening.map((uri) => ({ uri, ...parseCoapUri(uri) }));
  const ordered = [...listeners].sort((one, other) => rank(one, reached) - rank(other, reached));
  const best = ordered[0];
  if (best === undefined) throw new RangeError("a node has a listener");
  const { scheme, port } = best;
  const host = isWildcard(best.host) ? reached : best.host;
  const addresses = new Set(listeners.map((one) => (isWildcard(one.host) ? reached : one.host)));
  return {
    authority: `${scheme}://${formatAuthority(host, port, defaultPortOf(scheme))}`,
    local: { address: host, port, isAlso: (other) => addresses.has(other) },
  };
}

function rank({ scheme, host }: { readonly scheme: string; readonly host: string }, reached: string): number {
  const place = host === reached ? 0 : isWildcard(host) ? 1 : 2;
  return 2 * place + (scheme === "coap" ? 0 : 1);
}

function isWildcard(host: string): boolean {
  return host === "::" || host === "0.0.0.0";
}
