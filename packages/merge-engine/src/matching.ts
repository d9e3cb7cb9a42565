import {
  type Criterion,
  criterionMatchesAttribute,
  criterionMatchesLink,
  implies,
  type Link,
  matchesValue,
} from "@tributary/link-model";
import { AGE_ATTRIBUTES } from "./constants.js";
import type { Registration, SourcedRegistration } from "./types.js";

/** Resource type of every endpoint link (RFC 9176 section 6.4). */
export const ENDPOINT_RESOURCE_TYPE = "core.rd-ep";

type Matched = Registration | SourcedRegistration;

function shownHref(registration: Matched): string {
  return "shownHref" in registration ? registration.shownHref : registration.href;
}

/** Whether an attribute of the endpoint itself meets a criterion. */
function endpointMatches(criterion: Criterion, registration: Matched): boolean {
  switch (criterion.name) {
    case "ep":
      if (matchesValue(criterion, registration.ep)) return true;
      break;
    case "d":
      if (registration.d !== undefined && matchesValue(criterion, registration.d)) return true;
      break;
    case "base":
      if (matchesValue(criterion, registration.base)) return true;
      break;
    case "rt":
      if (matchesValue(criterion, ENDPOINT_RESOURCE_TYPE)) return true;
      break;
    // The registration resource: as target on the endpoint interface, as provenance on the other (draft 5.1).
    case "href":
    case "provenance":
      if (matchesValue(criterion, shownHref(registration))) return true;
      break;
    default:
      if (AGE_ATTRIBUTES.has(criterion.name)) return false;
  }
  return registration.attributes.some((attribute) => criterionMatchesAttribute(criterion, attribute));
}

/** Whether the link itself meets a criterion. Its target is a full URI, so a criterion in path form never matches it. */
function linkMatches(criterion: Criterion, link: Link): boolean {
  if (criterion.name === "href" && matchesValue(criterion, link.target)) return true;
  // A provenance that came with the link is a forgery and never shown (PRV-06).
  return criterion.name !== "provenance" && criterionMatchesLink(criterion, link);
}

/** Endpoint lookup (RFC 9176 section 6.2): each criterion is met by the endpoint or by any one of its links. Pure. */
export function registrationMatches(criteria: readonly Criterion[], registration: Matched): boolean {
  return criteria.every(
    (criterion) =>
      endpointMatches(criterion, registration) || registration.links.some((link) => linkMatches(criterion, link)),
  );
}

/** Resource lookup (RFC 9176 section 6.2): each criterion is met by this link or by its endpoint; siblings do not count. Pure. */
export function resourceMatches(criteria: readonly Criterion[], registration: Matched, link: Link): boolean {
  return criteria.every((criterion) => linkMatches(criterion, link) || endpointMatches(criterion, registration));
}

/**
 * Whether everything that can match `criteria` also matches the conjunction `filter` (draft 6.2.1). Both interfaces match
 * criterion by criterion, so it is enough that each criterion of the filter is implied by one of the query. Never claims
 * too much; an empty filter covers everything. Pure.
 */
export function covers(filter: readonly Criterion[], criteria: readonly Criterion[]): boolean {
  return filter.every((wide) => criteria.some((narrow) => implies(narrow, wide)));
}

/** A registration as a link of the endpoint lookup (RFC 9176 section 6.4). Pure. */
export function endpointLink(registration: SourcedRegistration): Link {
  const { ep, d, base, attributes } = registration;
  return {
    target: registration.shownHref,
    attributes: [
      ["ep", ep],
      ...(d === undefined ? [] : [["d", d] as const]),
      ["base", base],
      ["rt", ENDPOINT_RESOURCE_TYPE],
      ...attributes.filter(([name]) => !AGE_ATTRIBUTES.has(name)),
    ],
  };
}

/** A link of the resource lookup: never with a provenance of its own, with the true one on request (draft 5.1). Pure. */
export function resourceLink(link: Link, registration: SourcedRegistration, showProvenance: boolean): Link {
  const isForged = link.attributes.some(([name]) => name === "provenance");
  const attributes = isForged ? link.attributes.filter(([name]) => name !== "provenance") : link.attributes;
  if (!showProvenance) return isForged ? { target: link.target, attributes } : link;
  return { target: link.target, attributes: [...attributes, ["provenance", registration.shownHref]] };
}
