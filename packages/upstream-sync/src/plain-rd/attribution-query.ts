import { type Criterion, exactItem, isPathAbsolute, matchesValue, parseCriterion } from "@tributary/link-model";
import { ENTRIES_PER_STEP, type EndpointEntry } from "./lookup-documents.js";

/** A way to ask a resource lookup for the links of one registration. */
export type AskedMethod = "href" | "ep";

/** A query for the links of one registration. */
export interface AttributionQuery {
  readonly items: readonly string[];
  readonly criteria: readonly Criterion[];
  /** No value had to be asked for as a prefix. */
  readonly isExact: boolean;
}

const MAX_ITEM_BYTES = 255;

/** The query by which `method` asks for the links of a registration; undefined when no query can tell it from others. Pure. */
export function attributionQuery(method: AskedMethod, endpoint: EndpointEntry): AttributionQuery | undefined {
  const { href, ep, d } = endpoint;
  const sector = endpoint.shownSector ?? d;
  if (method === "href" && !isPathAbsolute(href)) return undefined;
  const values: [string, string][] =
    method === "href"
      ? [["href", href]]
      : sector === undefined
        ? [["ep", ep]]
        : [
            ["ep", ep],
            ["d", sector],
          ];
  const exact = values.map(([name, value]) => exactItem(name, value));
  // A value that ends in a star can be asked for as a prefix only: `s**` is whatever begins with `s*` (RFC 6690 section 4.1).
  const items = values.map(([name, value], index) => exact[index] ?? `${name}=${value}*`);
  if (items.some((item) => new TextEncoder().encode(item).length > MAX_ITEM_BYTES)) return undefined;
  return { items, criteria: items.map(parseCriterion), isExact: !exact.includes(undefined) };
}

/** Whether a query that asks for one registration matches another one as well. Pure. */
export function reaches({ criteria }: AttributionQuery, { href, ep, d, shownSector }: EndpointEntry): boolean {
  return criteria.every((criterion) => {
    const value = { href, ep, d: shownSector ?? d }[criterion.name as "href" | "ep" | "d"];
    return value !== undefined && matchesValue(criterion, value);
  });
}

/** One registration with the query for its links, and the other registrations that the query matches too. */
export interface QueryPlan {
  readonly endpoint: EndpointEntry;
  readonly query: AttributionQuery;
  readonly others: readonly EndpointEntry[];
}

/**
 * How to ask for the links of `endpoints` among `all` registrations of the RD: those whose query matches nothing else first, then
 * each after those that its query matches too. At most `maxShared` of the latter, because each is compared with all. Pure.
 */
export function planQueries(
  method: AskedMethod,
  endpoints: readonly EndpointEntry[],
  all: readonly EndpointEntry[],
  maxShared: number,
): QueryPlans {
  const steps = planQueriesInSteps(method, endpoints, all, maxShared);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

export interface QueryPlans {
  readonly alone: readonly QueryPlan[];
  readonly shared: readonly QueryPlan[];
}

/** The same in small steps. Pure. */
export function* planQueriesInSteps(
  method: AskedMethod,
  endpoints: readonly EndpointEntry[],
  all: readonly EndpointEntry[],
  maxShared: number,
): Generator<void, QueryPlans> {
  let looked = 0;
  const withSector = new Set<string>();
  for (const { ep, d, shownSector } of all) {
    if (++looked % ENTRIES_PER_STEP === 0) yield;
    if ((shownSector ?? d) !== undefined) withSector.add(ep);
  }
  const alone: QueryPlan[] = [];
  const shared: QueryPlan[] = [];
  let compared = 0;
  for (const endpoint of endpoints) {
    if (++looked % ENTRIES_PER_STEP === 0) yield;
    const query = attributionQuery(method, endpoint);
    if (query === undefined) continue;
    // An exact query matches another registration only when it has no sector and others have one.
    const isUnique = query.isExact && (query.items.length > 1 || method === "href" || !withSector.has(endpoint.ep));
    if (!isUnique && ++compared > maxShared) continue;
    if (!isUnique) yield;
    const others = isUnique ? [] : all.filter((other) => other.href !== endpoint.href && reaches(query, other));
    (others.length === 0 ? alone : shared).push({ endpoint, query, others });
  }
  return { alone, shared: shared.sort((one, other) => one.others.length - other.others.length) };
}
