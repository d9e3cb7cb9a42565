import { type Link, lastValue } from "@tributary/link-model";
import { normalOrigin } from "../discovery/discovery.js";
import { ENTRIES_PER_STEP, type EndpointEntry } from "./lookup-documents.js";

/** Links of a whole resource lookup, by the registrations whose base they are relative to. */
export interface BaseAttribution {
  /** Links by registration, for those whose base has an origin that no other base has; they may have none. */
  readonly links: ReadonlyMap<string, readonly Link[]>;
  /** Links whose context is at no base at all. */
  readonly orphans: number;
}

/**
 * Attributes links by their context (RFC 9176 section 6.1: lookups show links resolved against the base of their registration). It needs no
 * request, and can be wrong: a link may have been registered with a context at another endpoint, so its result has to be
 * verified. In steps; pure.
 */
export function* attributeByBase(
  whole: readonly Link[],
  all: readonly EndpointEntry[],
): Generator<void, BaseAttribution> {
  /** Null: several registrations have that origin. */
  const owners = new Map<string, string | null>();
  let looked = 0;
  for (const { href, base } of all) {
    if (++looked % ENTRIES_PER_STEP === 0) yield;
    const origin = normalOrigin(base);
    owners.set(origin, owners.has(origin) ? null : href);
  }
  const links = new Map<string, Link[]>();
  for (const href of owners.values()) {
    if (++looked % ENTRIES_PER_STEP === 0) yield;
    if (href !== null) links.set(href, []);
  }
  let orphans = 0;
  for (const link of whole) {
    if (++looked % ENTRIES_PER_STEP === 0) yield;
    const owner = owners.get(contextOriginOf(link));
    if (owner === undefined) orphans++;
    else if (owner !== null) links.get(owner)?.push(link);
  }
  return { links, orphans };
}

/** The origin of what a link of a resource lookup is about: its context, or what it points to when it names none. Pure. */
export function contextOriginOf(link: Link): string {
  return normalOrigin(lastValue(link, "anchor") ?? link.target);
}
