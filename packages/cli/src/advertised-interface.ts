import { leadsAstray } from "@tributary/coap-transport";
import { type Link, resolveReference, resourceTypesOf, splitUri } from "@tributary/link-model";

/** An interface that a server advertises. */
export interface AdvertisedInterface {
  /** Absolute, without a fragment; it may be on any host and path. */
  readonly uri: string;
  /** Why the link must not be followed: a server may name another host, but none that only this machine can reach. Null: it may be. */
  readonly astray: string | null;
}

/** Finds the first interface of a resource type among the links of `/.well-known/core` at `uri` (RFC 9176 section 4.3). Pure. */
export function findAdvertised(uri: string, links: readonly Link[], resourceType: string): AdvertisedInterface | null {
  const found = links.find((link) => resourceTypesOf(link).includes(resourceType));
  if (found === undefined) return null;
  const target = withoutFragment(resolveReference(uri, found.target));
  return { uri: target, astray: leadsAstray(uri, target) };
}

function withoutFragment(uri: string): string {
  return splitUri(uri).fragment === undefined ? uri : uri.slice(0, uri.indexOf("#"));
}
