import { firstValue, type Link, lastValue, serialiseLink } from "@tributary/link-model";
import type { LookupInterface } from "@tributary/merge-engine";

/** Links of one origin, in its own stable order. */
export interface Contribution {
  /** Name of the source; for the replica, links of several sources under the empty name. */
  readonly source: string;
  readonly links: readonly Link[];
}

/** Attributes that an RD reports to proxies only (draft 5.2) or on request (draft 5.1). */
const AGE_ATTRIBUTES: ReadonlySet<string> = new Set(["lt", "lt-age", "lt-remaining"]);

/** Age in seconds of the last renewal of a registration of the replica, by its shown href; undefined when unknown. */
export type AgeOf = (endpointLink: Link) => number | undefined;

/**
 * The union of several contributions (draft 4.4), duplicates left out: of endpoint links with one endpoint name and sector
 * the youngest, of resource links that say the same only the first. The order is that of the contributions, each in its
 * own order, so that a longer prefix of one never moves what stood before it (paging). Pure.
 */
export function union(
  kind: LookupInterface,
  contributions: readonly Contribution[],
  ageOf: AgeOf,
  showProvenance: boolean,
): Link[] {
  return kind === "ep" ? unionOfEndpoints(contributions, ageOf) : unionOfResources(contributions, showProvenance);
}

interface Candidate {
  readonly link: Link;
  readonly source: string;
  readonly ageS: number;
}

function unionOfEndpoints(contributions: readonly Contribution[], ageOf: AgeOf): Link[] {
  const byKey = new Map<string, Candidate>();
  for (const { source, links } of contributions) {
    for (const link of links) {
      const candidate = {
        link: without(link, AGE_ATTRIBUTES),
        source,
        ageS: reportedAge(link) ?? ageOf(link) ?? Number.POSITIVE_INFINITY,
      };
      const key = JSON.stringify([firstValue(link, "ep") ?? null, firstValue(link, "d") ?? null]);
      const known = byKey.get(key);
      // Setting a known key again keeps its place in the order.
      if (known === undefined || isPreferred(candidate, known)) byKey.set(key, candidate);
    }
  }
  return [...byKey.values()].map(({ link }) => link);
}

/** Rule 1: renewed last wins, equal ages go to the source with the smaller name; an unknown age loses to a known one. */
function isPreferred(candidate: Candidate, known: Candidate): boolean {
  return candidate.ageS === known.ageS ? candidate.source < known.source : candidate.ageS < known.ageS;
}

function reportedAge(link: Link): number | undefined {
  const age = seconds(lastValue(link, "lt-age"));
  if (age !== undefined) return age;
  const lt = seconds(lastValue(link, "lt"));
  const remaining = seconds(lastValue(link, "lt-remaining"));
  return lt === undefined || remaining === undefined ? undefined : Math.max(0, lt - remaining);
}

function seconds(text: string | null | undefined): number | undefined {
  return text !== null && text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

const PROVENANCE: ReadonlySet<string> = new Set(["provenance"]);

function unionOfResources(contributions: readonly Contribution[], showProvenance: boolean): Link[] {
  const seen = new Set<string>();
  const links: Link[] = [];
  for (const contribution of contributions) {
    // Repetitions within one origin are its own statement; only between origins they are duplicates.
    const own = new Set<string>();
    for (const link of contribution.links) {
      const plain = without(link, PROVENANCE);
      const text = serialiseLink(plain);
      own.add(text);
      if (!seen.has(text)) links.push(showProvenance ? link : plain);
    }
    for (const text of own) seen.add(text);
  }
  return links;
}

function without(link: Link, names: ReadonlySet<string>): Link {
  if (!link.attributes.some(([name]) => names.has(name))) return link;
  return { target: link.target, attributes: link.attributes.filter(([name]) => !names.has(name)) };
}
