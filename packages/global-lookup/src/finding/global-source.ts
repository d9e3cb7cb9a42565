import { addressHolder, CODE } from "@tributary/coap-transport";
import { type Criterion, criterionMatchesLink, type Link, type LookupQuery } from "@tributary/link-model";
import type { LookupContext, LookupRefusal, LookupResult, LookupSource } from "@tributary/lookup-interface";
import { isEndpointName } from "../record/name-key.js";
import type { FoundName } from "./name-finder.js";

/** Collaborators of `createGlobalSource`. */
export interface GlobalSourceDeps {
  /** Lookups of what this node knows without the pool. */
  readonly local: LookupSource;
  /** Whether an endpoint of this name is registered here. */
  readonly isLocal: (name: string) => boolean;
  /** Searches the pool. */
  readonly find: (name: string, client: string) => Promise<FoundName>;
}

/** Settings of `createGlobalSource`. */
export interface GlobalSourceOptions {
  /** Whether lookups without an exact name are refused, for there is nobody else to answer them (draft 6.3). */
  readonly needsName: boolean;
}

/**
 * Makes the lookup source of a node in a pool (draft 6.3): what is registered here is answered without the pool; an endpoint lookup with
 * an exact name that finds nothing here searches the pool.
 */
export function createGlobalSource(deps: GlobalSourceDeps, { needsName }: GlobalSourceOptions): LookupSource {
  return (context) => {
    const { kind, scope, query } = context;
    // RDs of the pool, and proxies that ask for what is registered here.
    if (scope !== "everywhere") return deps.local(context);
    const name = exactName(query.criteria);
    if (name === undefined) return needsName ? NAME_MISSING : deps.local(context);
    if (!isEndpointName(name)) return { code: CODE.BAD_REQUEST, message: "ep is not the name of an endpoint" };
    if (kind === "res" || deps.isLocal(name)) return deps.local(context);
    return findElsewhere(deps, name, context);
  };
}

const NAME_MISSING: LookupRefusal = {
  code: CODE.BAD_REQUEST,
  message: "this node finds endpoints by name only: add ep= with the whole name",
};

/** Returns the name that a lookup asks for; undefined where it has none, only its beginning, or several. Pure. */
export function exactName(criteria: readonly Criterion[]): string | undefined {
  const names = criteria.filter(({ name }) => name === "ep");
  const [only] = names;
  return only !== undefined && names.length === 1 && !only.isPrefix ? only.value : undefined;
}

async function findElsewhere(
  { local, find }: GlobalSourceDeps,
  name: string,
  context: LookupContext,
): Promise<LookupResult | LookupRefusal> {
  // Upstreams of a proxy may have it, although no copy here does.
  const known = await local(context);
  if (!("links" in known)) return known;
  const links = [...known.links];
  if (links.length > 0) return { ...withoutLinks(known), links };
  const found = await find(name, addressHolder(context.request.peer));
  switch (found.kind) {
    case "found":
      return {
        links: selected(found.links, context.query),
        maxAgeS: found.maxAgeS,
        origin: found.isCached ? "cached" : "forwarded",
      };
    case "none":
      return { links: [], maxAgeS: found.maxAgeS, origin: "forwarded" };
    case "failed":
      return { code: CODE.GATEWAY_TIMEOUT, message: found.reason };
    case "limited":
      return { code: CODE.TOO_MANY_REQUESTS, message: "you asked for too many names" };
    case "busy":
      return { code: CODE.UNAVAILABLE, message: "too many searches are under way" };
    default:
      return found satisfies never;
  }
}

/** A result that was read once cannot be read again in steps. */
function withoutLinks({ maxAgeS, missing, origin }: LookupResult): Omit<LookupResult, "links"> {
  return {
    ...(maxAgeS === undefined ? {} : { maxAgeS }),
    ...(missing === undefined ? {} : { missing }),
    ...(origin === undefined ? {} : { origin }),
  };
}

/** Applies the other criteria and paging to what an RD has of a name (RFC 9176 section 6.2). */
function selected(links: readonly Link[], { criteria, page = 0, count }: LookupQuery): readonly Link[] {
  const matching = links.filter((link) => criteria.every((criterion) => matches(criterion, link)));
  return count === undefined ? matching : matching.slice(page * count, (page + 1) * count);
}

function matches(criterion: Criterion, link: Link): boolean {
  const { name, value, isPrefix } = criterion;
  if (name === "href") return isPrefix ? link.target.startsWith(value) : link.target === value;
  return criterionMatchesLink(criterion, link);
}
