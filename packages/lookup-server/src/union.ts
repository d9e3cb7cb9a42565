import { firstValue, type Link, lastValue, originOf, serialiseLink } from "@tributary/link-model";
import { compareRenewals, type LookupInterface, type Renewal } from "@tributary/merge-engine";

/** What one origin contributes to a lookup, in its own stable order. */
export interface Contribution {
  readonly links: readonly Link[];
  /**
   * The registrations that `links` may come from. On the endpoint lookup there is one for each of the links; absent: the origin
   * does not tell them.
   */
  readonly endpoints?: readonly KnownEndpoint[];
}

/** A registration as an origin tells it. */
export interface KnownEndpoint {
  /** Its link on the endpoint lookup. */
  readonly link: Link;
  readonly renewal: Renewal;
}

/** Registrations of an (ep, d) that are known besides the contributions, whether or not they match the lookup. */
export type KnownElsewhere = (ep: string, d: string | undefined) => readonly Renewal[];

/** Attributes that an RD reports to proxies only (draft 5.2) or on request (draft 5.1). */
const AGE_ATTRIBUTES: ReadonlySet<string> = new Set(["lt", "lt-age", "lt-remaining"]);
const PROVENANCE: ReadonlySet<string> = new Set(["provenance"]);

/**
 * The union of several contributions (draft 4.4). Of the registrations of one (ep, d) only the one that was renewed last
 * counts: on the endpoint lookup as a link, on the resource lookup with its links. Links whose registration is not told are
 * kept; those that say the same as a link of another origin are left out. The order is that of the contributions, each in its
 * own order, so that a longer prefix of one never moves what stood before it (paging). Pure.
 */
export function union(
  kind: LookupInterface,
  contributions: readonly Contribution[],
  knownElsewhere: KnownElsewhere,
  showProvenance: boolean,
): Link[] {
  const winners = findWinners(contributions, knownElsewhere);
  return kind === "ep"
    ? unionOfEndpoints(contributions, winners)
    : unionOfResources(contributions, winners, showProvenance);
}

/** The registration that stands for each (ep, d); null where one that is known elsewhere does. */
type Winners = ReadonlyMap<string, KnownEndpoint | null>;

function findWinners(contributions: readonly Contribution[], knownElsewhere: KnownElsewhere): Winners {
  const winners = new Map<string, KnownEndpoint | null>();
  for (const endpoint of contributions.flatMap(({ endpoints = [] }) => endpoints)) {
    const key = keyOf(endpoint.link);
    const held = winners.get(key);
    if (held === undefined || (held !== null && isLater(endpoint, held))) winners.set(key, endpoint);
  }
  for (const [key, winner] of winners)
    if (winner !== null && isSuperseded(winner, knownElsewhere)) winners.set(key, null);
  return winners;
}

/** One registration that two origins tell is that of the first. */
function isLater({ renewal }: KnownEndpoint, held: KnownEndpoint): boolean {
  return renewal.href !== held.renewal.href && compareRenewals(renewal, held.renewal) < 0;
}

function isSuperseded({ link, renewal }: KnownEndpoint, knownElsewhere: KnownElsewhere): boolean {
  const ep = firstValue(link, "ep");
  if (typeof ep !== "string") return false;
  return knownElsewhere(ep, firstValue(link, "d") ?? undefined).some(
    (other) => other.href !== renewal.href && compareRenewals(other, renewal) < 0,
  );
}

function unionOfEndpoints(contributions: readonly Contribution[], winners: Winners): Link[] {
  // In the place of the first registration of its endpoint, whichever is shown.
  const shown = new Map<string, Link>();
  for (const { links } of contributions) {
    for (const link of links) {
      const key = keyOf(link);
      const winner = winners.get(key);
      if (winner !== null && !shown.has(key)) shown.set(key, without(winner?.link ?? link, AGE_ATTRIBUTES));
    }
  }
  return [...shown.values()];
}

function unionOfResources(contributions: readonly Contribution[], winners: Winners, showProvenance: boolean): Link[] {
  const seen = new Set<string>();
  const links: Link[] = [];
  for (const contribution of contributions) {
    const endpointOf = attribution(contribution);
    // Repetitions within one origin are its own statement; only between origins they are duplicates.
    const own = new Set<string>();
    for (const link of contribution.links) {
      const endpoint = endpointOf(link);
      if (endpoint !== undefined && winners.get(keyOf(endpoint.link)) !== endpoint) continue;
      const plain = without(link, PROVENANCE);
      const text = serialiseLink(plain);
      own.add(text);
      if (!seen.has(text)) links.push(showProvenance ? link : plain);
    }
    for (const text of own) seen.add(text);
  }
  return links;
}

/**
 * Finds the endpoint that registered a link: by its provenance, or else by its base, which is the origin of the link's
 * context (RFC 9176 section 6.1), where only one of the endpoints has that base. Pure.
 */
function attribution({ endpoints = [] }: Contribution): (link: Link) => KnownEndpoint | undefined {
  const byHref = new Map(endpoints.map((endpoint) => [endpoint.link.target, endpoint]));
  let byBase: Map<string, KnownEndpoint | null> | undefined;
  return (link) => {
    const provenance = lastValue(link, "provenance");
    if (typeof provenance === "string") return byHref.get(provenance);
    byBase ??= endpointsByBase(endpoints);
    const context = originOf(firstValue(link, "anchor") ?? link.target);
    return context === undefined ? undefined : (byBase.get(context.toLowerCase()) ?? undefined);
  };
}

/** Null where several have one base. */
function endpointsByBase(endpoints: readonly KnownEndpoint[]): Map<string, KnownEndpoint | null> {
  const found = new Map<string, KnownEndpoint | null>();
  for (const endpoint of endpoints) {
    const base = originOf(firstValue(endpoint.link, "base") ?? firstValue(endpoint.link, "con") ?? "")?.toLowerCase();
    if (base !== undefined) found.set(base, found.has(base) ? null : endpoint);
  }
  return found;
}

/** Whether links come from a registration that is not among the endpoints. Pure. */
export function namesUnknownRegistration(links: readonly Link[], endpoints: readonly Link[]): boolean {
  const known = new Set(endpoints.map(({ target }) => target));
  return links.some((link) => {
    const provenance = lastValue(link, "provenance");
    return typeof provenance === "string" && !known.has(provenance);
  });
}

/** Seconds since the last renewal as an endpoint link tells them (draft 5.2, and `lt-remaining` of later drafts). Pure. */
export function reportedAgeS(link: Link): number | undefined {
  const age = seconds(lastValue(link, "lt-age"));
  if (age !== undefined) return age;
  const lt = seconds(lastValue(link, "lt"));
  const remaining = seconds(lastValue(link, "lt-remaining"));
  return lt === undefined || remaining === undefined ? undefined : Math.max(0, lt - remaining);
}

function seconds(text: string | null | undefined): number | undefined {
  return text !== null && text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

function keyOf(endpoint: Link): string {
  return JSON.stringify([firstValue(endpoint, "ep") ?? null, firstValue(endpoint, "d") ?? null]);
}

function without(link: Link, names: ReadonlySet<string>): Link {
  if (!link.attributes.some(([name]) => names.has(name))) return link;
  return { target: link.target, attributes: link.attributes.filter(([name]) => !names.has(name)) };
}
