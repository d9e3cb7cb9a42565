import { firstValue, type Link, lastValue, originOf, serialiseLink } from "@tributary/link-model";
import {
  AGE_ATTRIBUTES,
  compareRenewals,
  LargeMap,
  type LookupInterface,
  LT_AGE,
  LT_REMAINING,
  type Renewal,
} from "@tributary/merge-engine";
import { forEachInSteps } from "./in-steps.js";

/** What one origin contributes to a lookup, in its own stable order. */
export interface Contribution {
  readonly links: readonly Link[];
  /**
   * The registrations that `links` may come from. On the endpoint lookup there is one for each link, in the same order; absent:
   * the origin does not report them.
   */
  readonly endpoints?: readonly KnownEndpoint[];
}

/** A registration as an origin reports it. */
export interface KnownEndpoint {
  /** Its link on the endpoint lookup. */
  readonly link: Link;
  readonly renewal: Renewal;
}

/** Registrations of an (ep, d) that are known besides the contributions, whether or not they match the lookup. */
export type KnownElsewhere = (ep: string, d: string | undefined) => readonly Renewal[];

/** Attributes that an RD reports to proxies only (draft 5.2) or on request (draft 5.1). */
const PROVENANCE: ReadonlySet<string> = new Set(["provenance"]);

/**
 * The union of several contributions (draft 4.4). Of the registrations of one (ep, d) only the one that was renewed last
 * counts: on the endpoint lookup as a link, on the resource lookup with its links. Links of unknown registrations are kept,
 * except for those that are equal to a link of another origin. The order is that of the contributions, each in its own order,
 * so that a longer prefix of one never moves what came before it (paging). Yields between small steps. Pure.
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

/** The registration that is shown for one (ep, d). */
interface Winner {
  endpoint: KnownEndpoint;
  /** One that is known elsewhere was renewed later. */
  isSuperseded: boolean;
  /** It is part of the result. */
  isShown: boolean;
}

type Winners = Pick<LargeMap<Winner>, "get">;

function* findWinners(
  contributions: readonly Contribution[],
  knownElsewhere: KnownElsewhere,
): Generator<void, Winners> {
  const winners = new LargeMap<Winner>();
  for (const { endpoints = [] } of contributions)
    yield* forEachInSteps(endpoints, (endpoint) => {
      const key = keyOf(endpoint.link);
      const winner = winners.get(key);
      if (winner === undefined) winners.set(key, { endpoint, isSuperseded: false, isShown: false });
      else if (isLater(endpoint, winner.endpoint)) winner.endpoint = endpoint;
    });
  yield* forEachInSteps(winners.entries(), ([, winner]) => {
    winner.isSuperseded = isSuperseded(winner.endpoint, knownElsewhere);
  });
  return winners;
}

/** Of one registration that two origins report, the first report counts. */
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
  const shown: Link[] = [];
  /** Endpoints of origins that do not report registrations. */
  const unreported = new LargeMap<true>();
  for (const { links } of contributions)
    yield* forEachInSteps(links, (link) => {
      const key = keyOf(link);
      const winner = winners.get(key);
      // The winner takes the place of the first registration of its endpoint.
      if (winner !== undefined) {
        if (!winner.isSuperseded && !winner.isShown) shown.push(without(winner.endpoint.link, AGE_ATTRIBUTES));
        winner.isShown = true;
      } else if (!unreported.has(key)) {
        unreported.set(key, true);
        shown.push(without(link, AGE_ATTRIBUTES));
      }
    });
  return shown;
}

function* unionOfResources(
  contributions: readonly Contribution[],
  winners: Winners,
  showProvenance: boolean,
): Generator<void, Link[]> {
  /** The number of the first contribution that has a link, by the text of the link. */
  const firstOf = new LargeMap<number>();
  const links: Link[] = [];
  for (const [number, contribution] of contributions.entries()) {
    const endpointOf = yield* attribution(contribution);
    yield* forEachInSteps(contribution.links, (link) => {
      const endpoint = endpointOf(link);
      if (endpoint !== undefined && !isWinner(endpoint, winners)) return;
      const plain = without(link, PROVENANCE);
      const text = serialiseLink(plain);
      const first = firstOf.get(text);
      if (first === undefined) firstOf.set(text, number);
      // A link that one origin repeats is meant to be there twice; from another origin it is a duplicate.
      if (first === undefined || first === number) links.push(showProvenance ? link : plain);
    });
  }
  return links;
}

function isWinner(endpoint: KnownEndpoint, winners: Winners): boolean {
  const winner = winners.get(keyOf(endpoint.link));
  return winner !== undefined && winner.endpoint === endpoint && !winner.isSuperseded;
}

/**
 * Finds the endpoint that registered a link: by its provenance, or else by its base, which is the origin of the link's
 * context (RFC 9176 section 6.1), if only one of the endpoints has that base. Yields between small steps. Pure.
 */
function* attribution({
  links,
  endpoints = [],
}: Contribution): Generator<void, (link: Link) => KnownEndpoint | undefined> {
  if (endpoints.length === 0) return () => undefined;
  const byHref = new LargeMap<KnownEndpoint>();
  yield* forEachInSteps(endpoints, (endpoint) => byHref.set(endpoint.link.target, endpoint));
  const byBase = (yield* isEachNamed(links)) ? undefined : yield* endpointsByBase(endpoints);
  return (link) => {
    const provenance = lastValue(link, "provenance");
    if (typeof provenance === "string") return byHref.get(provenance);
    const context = originOf(firstValue(link, "anchor") ?? link.target);
    return context === undefined ? undefined : (byBase?.get(context.toLowerCase()) ?? undefined);
  };
}

/** Whether every link has a provenance. */
function* isEachNamed(links: readonly Link[]): Generator<void, boolean> {
  let isEach = true;
  yield* forEachInSteps(links, (link) => {
    isEach &&= typeof lastValue(link, "provenance") === "string";
  });
  return isEach;
}

/** Null where several have one base. */
function* endpointsByBase(
  endpoints: readonly KnownEndpoint[],
): Generator<void, Pick<LargeMap<KnownEndpoint | null>, "get">> {
  const found = new LargeMap<KnownEndpoint | null>();
  yield* forEachInSteps(endpoints, (endpoint) => {
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
  const known = new LargeMap<true>();
  yield* forEachInSteps(endpoints, ({ target }) => known.set(target, true));
  let isAnyUnknown = false;
  yield* forEachInSteps(links, (link) => {
    const provenance = lastValue(link, "provenance");
    isAnyUnknown ||= typeof provenance === "string" && !known.has(provenance);
  });
  return isAnyUnknown;
}

/** Seconds since the last renewal as an endpoint link reports them (draft 5.2, and `lt-remaining` of later drafts). Pure. */
export function reportedAgeS(link: Link): number | undefined {
  const age = seconds(lastValue(link, LT_AGE));
  if (age !== undefined) return age;
  const lt = seconds(lastValue(link, "lt"));
  const remaining = seconds(lastValue(link, LT_REMAINING));
  return lt === undefined || remaining === undefined ? undefined : Math.max(0, lt - remaining);
}

function seconds(text: string | null | undefined): number | undefined {
  return text !== null && text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

/** Names in the two values cannot make two pairs equal: the length of the first comes first. */
function keyOf(endpoint: Link): string {
  const ep = firstValue(endpoint, "ep");
  const d = firstValue(endpoint, "d");
  if (typeof ep !== "string") return typeof d === "string" ? `?${d}` : "";
  return typeof d === "string" ? `${ep.length}:${ep}${d}` : `:${ep}`;
}

function without(link: Link, names: ReadonlySet<string>): Link {
  if (!link.attributes.some(([name]) => names.has(name))) return link;
  return { target: link.target, attributes: link.attributes.filter(([name]) => !names.has(name)) };
}
