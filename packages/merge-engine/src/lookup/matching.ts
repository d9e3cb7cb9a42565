import {
  type Attribute,
  type Criterion,
  criterionMatchesAttribute,
  criterionMatchesLink,
  implies,
  isAbsoluteUri,
  type Link,
  matchesValue,
} from "@tributary/link-model";
import { AGE_ATTRIBUTES, ENDPOINT_RESOURCE_TYPE } from "../constants.js";

/** The part of a registration that criteria look at. Without `shownHref`, `href` is what is shown. */
export interface Matchable {
  readonly href: string;
  readonly shownHref?: string;
  readonly ep: string;
  readonly d?: string | undefined;
  readonly base: string;
  readonly attributes: readonly Attribute[];
  readonly links: readonly Link[];
}

/** The part of a registration that its endpoint link is made of. */
export type Endpoint = Pick<Matchable, "ep" | "d" | "base" | "attributes"> & { readonly shownHref: string };

/** Whether the endpoint itself meets a criterion, by its registration resource or one of its attributes. */
function endpointMatches(criterion: Criterion, registration: Matchable): boolean {
  const { name } = criterion;
  // RFC 9176 section 6.2: href names the registration resource, as provenance does (draft 5.1). Never an attribute: those
  // come from the endpoint, which could pretend to be registered elsewhere and so get past the loop filter (draft 4.4.2).
  if (name === "href" || name === "provenance")
    return matchesValue(criterion, registration.shownHref ?? registration.href);
  if (AGE_ATTRIBUTES.has(name)) return false;
  return (
    (name === "ep" && matchesValue(criterion, registration.ep)) ||
    (name === "d" && registration.d !== undefined && matchesValue(criterion, registration.d)) ||
    (name === "base" && matchesValue(criterion, registration.base)) ||
    (name === "rt" && matchesValue(criterion, ENDPOINT_RESOURCE_TYPE)) ||
    registration.attributes.some((attribute) => criterionMatchesAttribute(criterion, attribute))
  );
}

/** Whether the link itself meets a criterion. */
function linkMatches(criterion: Criterion, link: Link): boolean {
  switch (criterion.name) {
    // RFC 9176 section 6.2: resources are asked for in URI form, so a path never means one.
    case "href":
      return isAbsoluteUri(link.target) && matchesValue(criterion, link.target);
    // What a link brings along under this name is a forgery and never shown (PRV-06).
    case "provenance":
      return false;
    default:
      return criterionMatchesLink(criterion, link);
  }
}

/**
 * Endpoint lookup (RFC 9176 section 6.2): each criterion is met by the endpoint or by any one of its links, whichever it is
 * for each. Pure.
 */
export function registrationMatches(criteria: readonly Criterion[], registration: Matchable): boolean {
  return criteria.every(
    (criterion) =>
      endpointMatches(criterion, registration) || registration.links.some((link) => linkMatches(criterion, link)),
  );
}

/** Resource lookup (RFC 9176 section 6.2): each criterion is met by this link or by its endpoint; siblings do not count. Pure. */
export function resourceMatches(criteria: readonly Criterion[], registration: Matchable, link: Link): boolean {
  return criteria.every((criterion) => linkMatches(criterion, link) || endpointMatches(criterion, registration));
}

/**
 * Whether a replica filled by the conjunction `filters` has everything that can match `criteria`, on either interface
 * (draft 6.2.1). Pure.
 *
 * Sound: whatever value meets a criterion of the query meets the filter criteria that it implies, in the same place, and an
 * endpoint lookup accepts any place. Exact: attributes repeat, and so do links, hence for a filter criterion that no
 * criterion of the query implies there is a registration that meets every criterion of the query, each with a value that
 * misses that filter. (Only a query that contradicts itself about `provenance`, which never repeats, is judged too strictly.)
 */
export function covers(filters: readonly Criterion[], criteria: readonly Criterion[]): boolean {
  return filters.every((wide) => isAlwaysMet(wide) || criteria.some((narrow) => implies(narrow, wide)));
}

/** Whether there is no registration that misses a criterion. */
function isAlwaysMet(criterion: Criterion): boolean {
  if (criterion.name === "rt") return matchesValue(criterion, ENDPOINT_RESOURCE_TYPE);
  return criterion.isPrefix && criterion.value === "" && EVERYONE_HAS.has(criterion.name);
}

const EVERYONE_HAS: ReadonlySet<string> = new Set(["ep", "base", "href", "provenance"]);

/** A registration as a link of the endpoint lookup (RFC 9176 section 6.4), without the attributes that are for proxies only (draft 5.2). Pure. */
export function endpointLink({ shownHref, ep, d, base, attributes }: Endpoint): Link {
  const shown: Attribute[] = [["ep", ep]];
  if (d !== undefined) shown.push(["d", d]);
  shown.push(["base", base], ["rt", ENDPOINT_RESOURCE_TYPE]);
  for (const attribute of attributes) {
    if (attribute[0] !== "provenance" && !AGE_ATTRIBUTES.has(attribute[0])) shown.push(attribute);
  }
  return { target: shownHref, attributes: shown };
}

/** A link of the resource lookup: never with a provenance of its own, with the true one on request (draft 5.1). Pure. */
export function resourceLink(link: Link, registration: { readonly shownHref: string }, showProvenance: boolean): Link {
  const isForged = link.attributes.some(([name]) => name === "provenance");
  const attributes = isForged ? link.attributes.filter(([name]) => name !== "provenance") : link.attributes;
  if (!showProvenance) return isForged ? { target: link.target, attributes } : link;
  return { target: link.target, attributes: [...attributes, ["provenance", registration.shownHref]] };
}
