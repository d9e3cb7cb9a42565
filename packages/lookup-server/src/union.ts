import { firstValue, type Link, lastValue, originOf, serialiseLink } from "@tributary/link-model";
import { compareRenewals, type LookupInterface, type Renewal } from "@tributary/merge-engine";
import { LINKS_PER_STEP } from "./constants.js";

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
 * own order, so that a longer prefix of one never moves what stood before it (paging). Yields between small steps. Pure.
 */
export function* unionInSteps(
  kind: LookupInterface,
  contributions: readonly Contribution[],
  knownElsewhere: KnownElsewhere,
  showProvenance: boolean,
): Generator<void, Link[]> {
  const winners = yield* findWinners(contributions, knownElsewhere);
  return kind === "ep"
    ? yield* unionOfEndpoints(contributions, winners)
    : yield* unionOfResources(contributions, winners, showProvenance);
}

/** `items` one by one, with a place where others may have their turn after so many. */
export function* inSteps<T, U>(items: Iterable<T>, see: (item: T) => U): Generator<void, U[]> {
  const seen: U[] = [];
  for (const item of items) if (seen.push(see(item)) % LINKS_PER_STEP === 0) yield;
  return seen;
}

/** The registration that stands for each (ep, d); null where one that is known elsewhere does. */
type Winners = ReadonlyMap<string, KnownEndpoint | null>;

function* findWinners(
  contributions: readonly Contribution[],
  knownElsewhere: KnownElsewhere,
): Generator<void, Winners> {
  const winners = new Map<string, KnownEndpoint | null>();
  for (const { endpoints = [] } of contributions)
    yield* inSteps(endpoints, (endpoint) => {
      const key = keyOf(endpoint.link);
      const held = winners.get(key);
      if (held === undefined || (held !== null && isLater(endpoint, held))) winners.set(key, endpoint);
    });
  yield* inSteps(winners, ([key, winner]) => {
    if (winner !== null && isSuperseded(winner, knownElsewhere)) winners.set(key, null);
  });
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

function* unionOfEndpoints(contributions: readonly Contribution[], winners: Winners): Generator<void, Link[]> {
  // In the place of the first registration of its endpoint, whichever is shown.
  const shown = new Map<string, Link>();
  for (const { links } of contributions)
    yield* inSteps(links, (link) => {
      const key = keyOf(link);
      const winner = winners.get(key);
      if (winner !== null && !shown.has(key)) shown.set(key, without(winner?.link ?? link, AGE_ATTRIBUTES));
    });
  return [...shown.values()];
}

function* unionOfResources(
  contributions: readonly Contribution[],
  winners: Winners,
  showProvenance: boolean,
): Generator<void, Link[]> {
  const seen = new Set<string>();
  const links: Link[] = [];
  for (const contribution of contributions) {
    const endpointOf = yield* attribution(contribution);
    // Repetitions within one origin are its own statement; only between origins they are duplicates.
    const own = new Set<string>();
    yield* inSteps(contribution.links, (link) => {
      const endpoint = endpointOf(link);
      if (endpoint !== undefined && winners.get(keyOf(endpoint.link)) !== endpoint) return;
      const plain = without(link, PROVENANCE);
      const text = serialiseLink(plain);
      own.add(text);
      if (!seen.has(text)) links.push(showProvenance ? link : plain);
    });
    yield* inSteps(own, (text) => seen.add(text));
  }
  return links;
}

/**
 * Finds the endpoint that registered a link: by its provenance, or else by its base, which is the origin of the link's
 * context (RFC 9176 section 6.1), where only one of the endpoints has that base. Pure.
 */
function* attribution({
  links,
  endpoints = [],
}: Contribution): Generator<void, (link: Link) => KnownEndpoint | undefined> {
  const byHref = new Map<string, KnownEndpoint>();
  yield* inSteps(endpoints, (endpoint) => byHref.set(endpoint.link.target, endpoint));
  const isEachNamed = links.every((link) => typeof lastValue(link, "provenance") === "string");
  const byBase = isEachNamed ? undefined : yield* endpointsByBase(endpoints);
  return (link) => {
    const provenance = lastValue(link, "provenance");
    if (typeof provenance === "string") return byHref.get(provenance);
    const context = originOf(firstValue(link, "anchor") ?? link.target);
    return context === undefined ? undefined : (byBase?.get(context.toLowerCase()) ?? undefined);
  };
}

/** Null where several have one base. */
function* endpointsByBase(endpoints: readonly KnownEndpoint[]): Generator<void, Map<string, KnownEndpoint | null>> {
  const found = new Map<string, KnownEndpoint | null>();
  yield* inSteps(endpoints, (endpoint) => {
    const base = originOf(firstValue(endpoint.link, "base") ?? firstValue(endpoint.link, "con") ?? "")?.toLowerCase();
    if (base !== undefined) found.set(base, found.has(base) ? null : endpoint);
  });
  return found;
}

/** Whether links come from a registration that is not among the endpoints. Yields between small steps. Pure. */
export function* namesUnknownRegistration(
  links: readonly Link[],
  endpoints: readonly Link[],
): Generator<void, boolean> {
  const known = new Set<string>();
  yield* inSteps(endpoints, ({ target }) => known.add(target));
  let isAnyUnknown = false;
  yield* inSteps(links, (link) => {
    const provenance = lastValue(link, "provenance");
    isAnyUnknown ||= typeof provenance === "string" && !known.has(provenance);
  });
  return isAnyUnknown;
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
