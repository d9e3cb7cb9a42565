/** When a proxy shows what the endpoints hold. Pure. */

import { rdOf } from "./hosts.js";
import { type Held, isSleeper, type Span, spanKey } from "./journal.js";
import { linksDigest, type View } from "./sightings.js";

export interface Expectation {
  /** Registrations that must be shown, by endpoint. */
  readonly held: ReadonlyMap<string, Held>;
  /** Registrations that may be there without being held (the endpoint left, or got no answer), by `spanKey`. */
  readonly spans: ReadonlyMap<string, readonly Span[]>;
}

/** What is different at a proxy, in words; empty when it agrees. At most `limit` of them. */
export function differences({ endpoints, links, sweptMs }: View, { held, spans }: Expectation, limit = 5): string[] {
  const found: string[] = [];
  for (const { ep, href, edition } of held.values()) {
    const shown = endpoints.get(ep);
    if (shown !== href) found.push(`${ep} is ${shown ?? "nowhere"}, not ${href}`);
    else if (links.get(ep) !== linksDigest(href, edition))
      found.push(`links of ${ep} are from ${links.get(ep) ?? "nowhere"}, not ${linksDigest(href, edition)}`);
    if (found.length >= limit) return found;
  }
  for (const [ep, href] of endpoints) {
    if (held.has(ep)) continue;
    const possible = spans.get(spanKey(ep, rdOf(href) ?? ""))?.at(-1);
    if (possible === undefined || possible.untilMs < sweptMs) found.push(`${ep} is still at ${href}`);
    if (found.length >= limit) return found;
  }
  return found;
}

export interface Losses {
  /** Acknowledged, living, and not at their RD. */
  readonly lost: readonly string[];
  /** Those whose RD lost its memory and whose endpoint was not heard of again. */
  readonly expected: readonly string[];
}

/** Compare what was read at the RDs with what must be lost: sleepers of an RD that forgot. */
export function losses(
  held: ReadonlyMap<string, Held>,
  reads: ReadonlyMap<string, string>,
  hasForgotten: (rd: string, sinceMs: number) => boolean,
): Losses {
  const lost = [...held.keys()].filter((ep) => reads.get(ep) !== "2.05").sort();
  const expected = [...held.values()]
    .filter(({ ep, rd, acknowledgedMs }) => isSleeper(ep) && hasForgotten(rd, acknowledgedMs))
    .map(({ ep }) => ep)
    .sort();
  return { lost, expected };
}
