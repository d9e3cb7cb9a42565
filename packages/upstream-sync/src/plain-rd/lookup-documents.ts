import {
  type Attribute,
  firstValue,
  isPathAbsolute,
  type Link,
  lastValue,
  resolveReference,
  serialiseLink,
} from "@tributary/link-model";
import {
  DEFAULT_RECORD_LIMITS,
  findParameterFault,
  LT_AGE,
  LT_REMAINING,
  type RecordLimits,
} from "@tributary/merge-engine";
import type { OwnNames } from "../discovery/own-names.js";
import { type LeftOutCause, LossCount, type Losses } from "../left-out.js";

/** An entry of an endpoint lookup of an RD that was not written for replication. */
export interface EndpointEntry {
  /** Registration resource, a path on the RD. */
  readonly href: string;
  readonly ep: string;
  readonly d?: string;
  /** Sector by which the RD knows it where that is mapped to none. */
  readonly shownSector?: string;
  readonly base: string;
  readonly attributes: readonly Attribute[];
  readonly ltS?: number;
  /** As shown; trusted only after it was seen to advance. */
  readonly ageS?: number;
}

export interface EndpointDocument {
  readonly endpoints: ReadonlyMap<string, EndpointEntry>;
  readonly leftOut: Losses;
  /** Entries that come from the server that they are registered at, which is known here: nothing is missing without them. */
  readonly fromElsewhere: number;
}

export interface DocumentContext {
  /** URI that the document was read from. */
  readonly uri: string;
  readonly defaultSector?: string;
  readonly names: OwnNames;
  /** Default: those of registrations here. */
  readonly limits?: RecordLimits;
  /** It is known to show registrations of other RDs, which are upstreams themselves (draft 4.4.2): not taking them loses nothing. */
  readonly showsOthers?: boolean;
}

/** What an RD says about an entry besides its endpoint attributes; clients may have put the same names there. */
export const NOT_ENDPOINT_ATTRIBUTES: ReadonlySet<string> = new Set([
  "ep",
  "d",
  "base",
  "rt",
  "lt",
  LT_AGE,
  LT_REMAINING,
  "provenance",
  "anchor",
  "rel",
]);

/** Entries of a document that are looked at in one step of long work. */
export const ENTRIES_PER_STEP = 32;

/** What `change` makes of each of `items`, in steps. */
export function* mapped<T, U>(items: readonly T[], change: (item: T) => U): Generator<void, U[]> {
  const results: U[] = [];
  for (const item of items) {
    results.push(change(item));
    if (results.length % ENTRIES_PER_STEP === 0) yield;
  }
  return results;
}

/** Read an endpoint lookup (RFC 9176 section 6.4). The order of entries means nothing. Pure. */
export function readEndpointDocument(links: readonly Link[], context: DocumentContext): EndpointDocument {
  const steps = readEndpointDocumentInSteps(links, context);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** The same in small steps. Pure. */
export function* readEndpointDocumentInSteps(
  links: readonly Link[],
  context: DocumentContext,
): Generator<void, EndpointDocument> {
  const endpoints = new Map<string, EndpointEntry>();
  const leftOut = new LossCount();
  const byBase: EndpointEntry[] = [];
  let fromElsewhere = 0;
  let looked = 0;
  for (const link of links) {
    if (++looked % ENTRIES_PER_STEP === 0) yield;
    const endpoint = readEndpoint(link, context);
    if ("cause" in endpoint) {
      const isOfOther = endpoint.cause === "other-authority";
      if (isOfOther && (context.showsOthers === true || endpoint.isKnownServer === true)) fromElsewhere++;
      else leftOut.add(endpoint.cause, endpoint.message);
    } else if (isPathAbsolute(endpoint.href)) endpoints.set(endpoint.href, endpoint);
    else byBase.push(endpoint);
  }
  for (const endpoint of withOwnHrefs(byBase)) endpoints.set(endpoint.href, endpoint);
  return { endpoints, leftOut: leftOut.losses, fromElsewhere };
}

interface Refusal {
  readonly cause: LeftOutCause;
  readonly message: string;
  readonly isKnownServer?: boolean;
}

function readEndpoint(link: Link, context: DocumentContext): EndpointEntry | Refusal {
  const place = context.names.placeOf(link, context.uri);
  if (place.kind === "elsewhere") return { cause: "other-authority", ...place };
  const ep = firstValue(link, "ep");
  const d = firstValue(link, "d");
  // `con` is what older RDs call `base`; beside a `base` it is an endpoint attribute like any other.
  const ownBase = firstValue(link, "base");
  const base = ownBase ?? firstValue(link, "con") ?? (place.kind === "base" ? link.target : undefined);
  if (typeof ep !== "string" || ep === "")
    return { cause: "no-name", message: `the entry <${link.target}> has no endpoint name` };
  if (typeof base !== "string" || base === "")
    return { cause: "no-base", message: `the entry <${link.target}> has no base` };
  const ltS = wholeSeconds(lastValue(link, "lt"));
  const remainingS = wholeSeconds(lastValue(link, LT_REMAINING));
  const ageS =
    wholeSeconds(lastValue(link, LT_AGE)) ??
    (ltS !== undefined && remainingS !== undefined ? Math.max(0, ltS - remainingS) : undefined);
  const attributes = link.attributes.filter(
    ([name]) => !NOT_ENDPOINT_ATTRIBUTES.has(name) && (name !== "con" || typeof ownBase === "string"),
  );
  const href = place.kind === "path" ? place.path : link.target;
  const problem = findParameterFault(
    { href, ep, ...(typeof d === "string" ? { d } : {}), base, attributes },
    context.limits ?? DEFAULT_RECORD_LIMITS,
  );
  if (problem !== undefined) return { cause: problem.fault, message: `the entry <${link.target}> ${problem.message}` };
  return {
    href,
    ep,
    ...(typeof d !== "string" ? {} : d === context.defaultSector ? { shownSector: d } : { d }),
    base,
    attributes,
    ...(ltS === undefined ? {} : { ltS }),
    ...(ageS === undefined ? {} : { ageS }),
  };
}

/** Endpoints that are listed by their base, which several may share: then name and sector tell them apart. */
function withOwnHrefs(endpoints: readonly EndpointEntry[]): EndpointEntry[] {
  const counts = new Map<string, number>();
  for (const { href } of endpoints) counts.set(href, (counts.get(href) ?? 0) + 1);
  return endpoints.map((endpoint) => {
    const { href, ep, d } = endpoint;
    if (counts.get(href) === 1) return endpoint;
    const identity = d === undefined ? { ep } : { ep, d };
    return { ...endpoint, href: `${href}#${new URLSearchParams(identity)}` };
  });
}

function wholeSeconds(text: string | null | undefined): number | undefined {
  return typeof text === "string" && /^[0-9]{1,10}$/.test(text) ? Number(text) : undefined;
}

/** What only an RD may say about a link. */
const RD_ATTRIBUTES: ReadonlySet<string> = new Set(["provenance", LT_AGE, LT_REMAINING]);

/** A link of a resource lookup as it is replicated: absolute, without what a client forged (PRV-06). Pure. */
export function replicatedLink(link: Link, documentUri: string): Link {
  const attributes = link.attributes
    .filter(([name]) => !RD_ATTRIBUTES.has(name))
    .map(
      ([name, value]): Attribute =>
        name === "anchor" && value !== null ? [name, absolute(value, documentUri)] : [name, value],
    );
  return { target: absolute(link.target, documentUri), attributes };
}

function absolute(reference: string, base: string): string {
  return /^[A-Za-z][A-Za-z0-9+.-]*:/.test(reference) ? reference : resolveReference(base, reference);
}

/** Links counted by what they say: order and origin do not matter. */
export class LinkCounts {
  readonly #counts = new Map<string, number>();

  constructor(links: Iterable<Link> = []) {
    for (const link of links) this.add(link, 1);
  }

  add(link: Link, count: number): void {
    this.#addText(linkText(link), count);
  }

  #addText(text: string, count: number): void {
    const sum = (this.#counts.get(text) ?? 0) + count;
    if (sum === 0) this.#counts.delete(text);
    else this.#counts.set(text, sum);
  }

  /** Count all of `links`, in steps. */
  *addAll(links: Iterable<Link>): Generator<void, void> {
    let added = 0;
    for (const link of links) {
      this.add(link, 1);
      if (++added % ENTRIES_PER_STEP === 0) yield;
    }
  }

  /** Take away all that `other` counts, in steps. */
  *subtract(other: LinkCounts): Generator<void, void> {
    let subtracted = 0;
    for (const [text, count] of other.#counts) {
      this.#addText(text, -count);
      if (++subtracted % ENTRIES_PER_STEP === 0) yield;
    }
  }

  count(link: Link): number {
    return this.#counts.get(linkText(link)) ?? 0;
  }

  /** Links counted above zero, less those below. */
  get sum(): number {
    let sum = 0;
    for (const count of this.#counts.values()) sum += count;
    return sum;
  }

  /** Nothing is counted, neither above nor below zero. */
  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }
}

function linkText(link: Link): string {
  try {
    return serialiseLink(link);
  } catch {
    return JSON.stringify(link);
  }
}
