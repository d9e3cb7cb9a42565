/** What clients of a lookup proxy see, one JSON object a line, and what follows from it. Pure. Times as in the journal. */

import { rdOf } from "./hosts.js";
import { type Life, type Span, spanKey } from "./journal.js";

export type Sighting =
  /** A whole endpoint lookup shows this from now on, until `gone`. Times are those of sending the lookup. */
  | { readonly kind: "shown"; readonly atMs: number; readonly ep: string; readonly href: string }
  | { readonly kind: "gone"; readonly lastMs: number; readonly ep: string; readonly href: string }
  /** The whole endpoint lookup that was sent at this time was answered so much later; its answer is reported before. */
  | { readonly kind: "listed"; readonly atMs: number; readonly tookMs: number }
  /** Links of an endpoint by a resource lookup, as `<href> <edition> <count>`; empty: none. */
  | { readonly kind: "links"; readonly ep: string; readonly digest: string }
  /** One answer has the same endpoint twice. */
  | { readonly kind: "double"; readonly atMs: number; readonly ep: string; readonly hrefs: readonly string[] }
  /** Both lookups were answered; what was reported before is what they show. */
  | { readonly kind: "swept"; readonly atMs: number; readonly endpoints: number }
  /** How many upstreams the proxy holds a complete copy of. */
  | { readonly kind: "status"; readonly atMs: number; readonly complete: number }
  /** A small lookup; without a code there was no answer. */
  | { readonly kind: "asked"; readonly sentMs: number; readonly tookMs: number; readonly code?: string };

/** Digest of the links that an endpoint of this test has in one edition. */
export function linksDigest(href: string, edition: number): string {
  return `${href} ${edition} 2`;
}

/** What a proxy shows at present. */
export class View {
  readonly endpoints = new Map<string, string>();
  readonly links = new Map<string, string>();
  sweptMs = 0;

  apply(sighting: Sighting): void {
    switch (sighting.kind) {
      case "shown":
        this.endpoints.set(sighting.ep, sighting.href);
        return;
      case "gone":
        if (this.endpoints.get(sighting.ep) === sighting.href) this.endpoints.delete(sighting.ep);
        return;
      case "links":
        if (sighting.digest === "") this.links.delete(sighting.ep);
        else this.links.set(sighting.ep, sighting.digest);
        return;
      case "swept":
        this.sweptMs = sighting.atMs;
        return;
      default:
        return;
    }
  }
}

export interface Overdue {
  readonly lp: string;
  readonly ep: string;
  readonly href: string;
  /** How long after its end it was still shown, ms. */
  readonly byMs: number;
  /** When it was seen last. */
  readonly untilMs: number;
}

type Listed = Extract<Sighting, { kind: "listed" }>;

/**
 * Registrations that were shown when none of the endpoint could live at that RD any more.
 * `endMs` is the end of the observation.
 */
export function overdue(
  lp: string,
  sightings: readonly Sighting[],
  spans: ReadonlyMap<string, readonly Span[]>,
  endMs: number,
): Overdue[] {
  const listed = sightings.filter((sighting) => sighting.kind === "listed");
  const open = new Map<string, { href: string; fromMs: number }>();
  const found: Overdue[] = [];
  const judge = (ep: string, href: string, fromMs: number, untilMs: number): void => {
    const possible = spans.get(spanKey(ep, rdOf(href) ?? "")) ?? [];
    const byMs = longestOutside(possible, listed, fromMs, untilMs);
    if (byMs > 0) found.push({ lp, ep, href, byMs, untilMs });
  };
  for (const sighting of sightings) {
    if (sighting.kind === "shown") open.set(sighting.ep, { href: sighting.href, fromMs: sighting.atMs });
    if (sighting.kind !== "gone") continue;
    const shown = open.get(sighting.ep);
    if (shown === undefined || shown.href !== sighting.href) continue;
    open.delete(sighting.ep);
    judge(sighting.ep, shown.href, shown.fromMs, sighting.lastMs);
  }
  for (const [ep, { href, fromMs }] of open) judge(ep, href, fromMs, endMs);
  return found;
}

/**
 * How long after the end of a span something was still seen in the lists of `fromMs…untilMs`, at most. What a list shows was so
 * at some moment between its request and its answer: it counts where none of these moments is within a span.
 */
function longestOutside(spans: readonly Span[], listed: readonly Listed[], fromMs: number, untilMs: number): number {
  if (spans.length === 0) return Number.POSITIVE_INFINITY;
  const ends = [fromMs, ...spans.map((span) => span.untilMs)];
  const late = ends.map((endMs, index) => {
    const nextMs = spans[index]?.fromMs ?? Number.POSITIVE_INFINITY;
    const seenMs = lastList(listed, untilMs, nextMs);
    return seenMs >= fromMs ? seenMs - endMs : 0;
  });
  return Math.max(0, ...late);
}

/** When the last list was asked for that was asked for by `askedMs` and answered by `answeredMs`. */
function lastList(listed: readonly Listed[], askedMs: number, answeredMs: number): number {
  let [low, high] = [0, listed.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { atMs, tookMs } = listed[middle] as Listed;
    // One list at a time: both times grow.
    if (atMs <= askedMs && atMs + tookMs <= answeredMs) low = middle + 1;
    else high = middle;
  }
  return listed[low - 1]?.atMs ?? Number.NEGATIVE_INFINITY;
}

export interface LookupFigures {
  answered: number;
  /** 5.04: nothing at all is known yet. */
  refused: number;
  unansweredWhileDown: number;
  slowestMs: number;
  /** What must not be. */
  readonly faults: string[];
}

/** Judge the small lookups at one proxy. `timeoutMs`: when its clients give up. */
export function judgeLookups(
  lp: string,
  sightings: Iterable<Sighting>,
  lives: readonly Life[],
  timeoutMs: number,
): LookupFigures {
  const figures: LookupFigures = { answered: 0, refused: 0, unansweredWhileDown: 0, slowestMs: 0, faults: [] };
  const wise = new Map<Life, number>();
  for (const sighting of sightings) {
    if (sighting.kind === "status" && sighting.complete > 0) {
      const life = lifeAt(lives, sighting.atMs);
      if (life !== undefined && !wise.has(life)) wise.set(life, sighting.atMs);
    }
    if (sighting.kind !== "asked") continue;
    const { sentMs, tookMs, code } = sighting;
    const life = lifeAt(lives, sentMs);
    if (code === undefined) {
      if (life !== undefined && sentMs + timeoutMs < life.killedMs)
        figures.faults.push(
          `${lp} is up and gave no answer to a lookup sent ${sentMs - life.readyMs} ms after its start`,
        );
      else figures.unansweredWhileDown++;
    } else if (code === "2.05") {
      figures.answered++;
      if (life !== undefined && sentMs + tookMs < life.killedMs)
        figures.slowestMs = Math.max(figures.slowestMs, tookMs);
    } else if (code === "5.04") {
      figures.refused++;
      if (life !== undefined && sentMs > (wise.get(life) ?? Number.POSITIVE_INFINITY))
        figures.faults.push(`${lp} answered 5.04 although it had a complete copy`);
    } else figures.faults.push(`${lp} answered ${code}`);
  }
  return figures;
}

function lifeAt(lives: readonly Life[], atMs: number): Life | undefined {
  return lives.find(({ readyMs, killedMs }) => readyMs <= atMs && atMs < killedMs);
}
