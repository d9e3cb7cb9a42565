import { attributeMatches, type Criterion, isAbsoluteUri, matchesValue } from "@tributary/link-model";
import { AGE_ATTRIBUTES, ENDPOINT_RESOURCE_TYPE } from "../constants.js";
import type { PackedLinks } from "../records/packed-links.js";
import type { StoredRecord } from "../records/stored-record.js";

/*
 * The rules of matching.ts for records as the directory stores them, without unpacking. `lookup-properties.test.ts` compares the two.
 */

/** Whether the endpoint of a record meets a criterion. Pure. */
export function endpointMeets(criterion: Criterion, record: StoredRecord): boolean {
  const { name } = criterion;
  switch (name) {
    case "href":
    case "provenance":
      return matchesValue(criterion, record.shownHref);
    case "ep":
      if (matchesValue(criterion, record.key.ep)) return true;
      break;
    case "d":
      if (record.key.d !== undefined && matchesValue(criterion, record.key.d)) return true;
      break;
    case "base":
      if (matchesValue(criterion, record.base)) return true;
      break;
    case "rt":
      if (matchesValue(criterion, ENDPOINT_RESOURCE_TYPE)) return true;
      break;
    default:
      if (AGE_ATTRIBUTES.has(name)) return false;
  }
  return pairsMeet(criterion, record.attributes, 0, record.attributes.length);
}

/** Whether the link whose target is at `at` meets a criterion. Pure. */
export function linkMeets(criterion: Criterion, links: PackedLinks, at: number): boolean {
  switch (criterion.name) {
    case "href": {
      const target = links[at] as string;
      return matchesValue(criterion, target) && isAbsoluteUri(target);
    }
    case "provenance":
      return false;
    default:
      return pairsMeet(criterion, links, at + 2, nextLink(links, at));
  }
}

/** Returns where the link after the one at `at` begins. Pure. */
export function nextLink(links: PackedLinks, at: number): number {
  return at + 2 + 2 * (links[at + 1] as number);
}

/** Whether a record matches on the endpoint lookup: see `registrationMatches`. Pure. */
export function recordMatches(criteria: readonly Criterion[], record: StoredRecord): boolean {
  for (const criterion of criteria)
    if (!endpointMeets(criterion, record) && !anyLinkMeets(criterion, record.links)) return false;
  return true;
}

/**
 * Returns the criteria that the links of a record have to meet on the resource lookup: those that its endpoint does not meet. See
 * `resourceMatches`. Pure.
 */
export function criteriaForLinks(criteria: readonly Criterion[], record: StoredRecord): readonly Criterion[] {
  let left: Criterion[] | undefined;
  for (const criterion of criteria)
    if (!endpointMeets(criterion, record)) {
      left ??= [];
      left.push(criterion);
    }
  return left ?? NONE;
}

/** Whether the link at `at` meets all of these criteria. Pure. */
export function linkMeetsAll(criteria: readonly Criterion[], links: PackedLinks, at: number): boolean {
  for (const criterion of criteria) if (!linkMeets(criterion, links, at)) return false;
  return true;
}

const NONE: readonly Criterion[] = [];

function anyLinkMeets(criterion: Criterion, links: PackedLinks): boolean {
  for (let at = 0; at < links.length; at = nextLink(links, at)) if (linkMeets(criterion, links, at)) return true;
  return false;
}

function pairsMeet(criterion: Criterion, packed: PackedLinks, from: number, end: number): boolean {
  for (let at = from; at < end; at += 2)
    if (packed[at] === criterion.name && attributeMatches(criterion, packed[at + 1] as string | null)) return true;
  return false;
}
