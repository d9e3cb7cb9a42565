import type { ServerRequest } from "@tributary/coap-transport";
import { type Criterion, parseLookupQuery } from "@tributary/link-model";
import type { LookupInterface } from "@tributary/merge-engine";
import { HERE_ONLY_HOP_LIMIT, TIER_HOP_LIMIT } from "@tributary/replication";
import { normaliseOwnCriteria } from "./own-authority.js";

/**
 * Whose registrations a lookup is about. `here`: those that were made at this node, so nobody else is asked, whatever the mode
 * of an upstream. `directories`: also those of RDs, but no other proxy is asked. `everywhere`: all that can be known.
 */
export type LookupScope = "here" | "directories" | "everywhere";

/** What the scope of a lookup depends on besides the request. */
export interface LookupScopeOptions {
  readonly kind: LookupInterface;
  /** Path above the registration resources. */
  readonly resourcePath: readonly string[];
}

/**
 * The scope of a lookup, by its Hop-Limit and by its criteria once they are normalised: `href` and `provenance` with a
 * path name registration resources of the server that is asked (draft 4.4.2). At another server the same path is another
 * registration. This is the only place where it is decided. Pure.
 */
export function lookupScope(
  { hopLimit }: Pick<ServerRequest, "hopLimit">,
  criteria: readonly Criterion[],
): LookupScope {
  if (hopLimit === HERE_ONLY_HOP_LIMIT || criteria.some(namesOwnRegistration)) return "here";
  return hopLimit !== undefined && hopLimit <= TIER_HOP_LIMIT ? "directories" : "everywhere";
}

/** The scope of a request whose query is not parsed yet. A malformed query is refused here. */
export function scopeOfRequest(request: ServerRequest, options: LookupScopeOptions): LookupScope {
  const parsed = parseLookupQuery(request.query);
  if (!parsed.ok) return "here";
  return lookupScope(request, normaliseOwnCriteria(parsed.query.criteria, { ...options, request }));
}

/** Also a prefix, and a reference to another host without a scheme (`//host/…`), which is the form of no registration anywhere. */
function namesOwnRegistration({ name, value }: Criterion): boolean {
  return (name === "href" || name === "provenance") && value.startsWith("/");
}
