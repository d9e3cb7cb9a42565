import type { Criterion } from "@tributary/link-model";
import type { LookupInterface } from "@tributary/merge-engine";

/** Registrations that a feed contains: those `own` to an RD, which it took itself (draft 4.4.2), or `all` that a proxy's lookups show. */
export type FeedScope = "own" | "all";

const NAMES = { ep: "href", res: "provenance" } as const satisfies Record<LookupInterface, string>;
/** The values before the asterisk of the criterion: links to what is registered at an RD itself are path-absolute. */
const PREFIXES = { own: "/", all: "" } as const satisfies Record<FeedScope, string>;

/** The query item that asks for a feed (draft 6.2): `href=/*` or `provenance=/*`, `href=*` or `provenance=*`. Pure. */
export function feedSelector(kind: LookupInterface, scope: FeedScope): string {
  return `${NAMES[kind]}=${PREFIXES[scope]}*`;
}

/** Whether a criterion is the one that asks for a feed. Pure. */
export function isFeedSelector({ name, value, isPrefix }: Criterion, kind: LookupInterface, scope: FeedScope): boolean {
  return name === NAMES[kind] && value === PREFIXES[scope] && isPrefix;
}
