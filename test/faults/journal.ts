/**
 * What the endpoints write down, one JSON object a line, and what follows from it. Pure. Times are ms since 1970 of this
 * machine's clock, the same for all processes of a run.
 */

/** Fields of every request of an endpoint about its registration. */
interface Exchange {
  /** When it was sent, and when the answer came or the endpoint gave up. */
  readonly sentMs: number;
  readonly atMs: number;
  readonly op: "register" | "renew" | "remove";
  readonly ep: string;
  readonly rd: string;
  /** Absolute; absent while it is not known. */
  readonly href?: string;
  readonly ltS: number;
  /** Which edition of its links the endpoint had. */
  readonly edition: number;
}

export type JournalEntry =
  | (Exchange & { readonly kind: "acknowledged" })
  | (Exchange & { readonly kind: "refused"; readonly code: string })
  /** No answer: it may have been done or not. */
  | (Exchange & { readonly kind: "silent" })
  /** The endpoint goes without a word; its registration ends with its lifetime. */
  | { readonly kind: "left"; readonly atMs: number; readonly ep: string }
  /** Afterwards, each registration that should be there was read at its RD. */
  | {
      readonly kind: "read";
      readonly ep: string;
      readonly href: string;
      readonly code: string;
      readonly edition: number;
    }
  /** All that goes on living was acknowledged again, and all was read. */
  | { readonly kind: "settled"; readonly atMs: number };

/** The registration that was acknowledged last. */
export interface Held {
  readonly ep: string;
  readonly rd: string;
  readonly href: string;
  readonly ltS: number;
  readonly edition: number;
  readonly acknowledgedMs: number;
}

/** Endpoints that register once, with a long lifetime, and are not heard of again. */
export function isSleeper(ep: string): boolean {
  return ep.startsWith("sleeper");
}

/** Per endpoint what it holds: the registration acknowledged last, unless it was removed, refused or left behind since. */
export function heldBy(journal: Iterable<JournalEntry>): Map<string, Held> {
  const held = new Map<string, Held>();
  for (const entry of journal) {
    if (entry.kind === "left") held.delete(entry.ep);
    else if (entry.kind === "acknowledged" && entry.op !== "remove" && entry.href !== undefined) {
      const { ep, rd, href, ltS, edition, atMs } = entry;
      held.set(ep, { ep, rd, href, ltS, edition, acknowledgedMs: atMs });
    } else if (entry.kind === "acknowledged") held.delete(entry.ep);
    else if (entry.kind === "refused" && entry.op !== "register") held.delete(entry.ep);
    else if (entry.kind === "silent" && entry.op === "remove") held.delete(entry.ep);
  }
  return held;
}

export interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** An RD keeps one registration of an endpoint. */
export function spanKey(ep: string, rd: string): string {
  return `${rd} ${ep}`;
}

/**
 * When a registration of an endpoint may have lived at an RD, by `spanKey`, in order and without overlaps. A request without
 * answer may have been done, at the latest when the endpoint gave up.
 */
export function possibleSpans(journal: Iterable<JournalEntry>): Map<string, Span[]> {
  const spans = new Map<string, Span[]>();
  for (const entry of journal) {
    if ((entry.kind !== "acknowledged" && entry.kind !== "silent") || entry.op === "remove") continue;
    const key = spanKey(entry.ep, entry.rd);
    const span = { fromMs: entry.sentMs, untilMs: entry.atMs + entry.ltS * 1000 };
    const list = spans.get(key) ?? [];
    const last = list.at(-1);
    // What is written later was sent later, so that spans come in order.
    if (last !== undefined && last.untilMs >= span.fromMs)
      list[list.length - 1] = { fromMs: last.fromMs, untilMs: Math.max(last.untilMs, span.untilMs) };
    else list.push(span);
    spans.set(key, list);
  }
  return spans;
}

/** The life of one process of a node. */
export interface Life {
  readonly startedMs: number;
  /** Its ready line was there. */
  readonly readyMs: number;
  /** Infinite while it lives. */
  readonly killedMs: number;
  /** It began without what its predecessor knew. */
  readonly isEmpty: boolean;
}

/** Whether an RD has lost its registrations since a moment. */
export function hasForgottenSince(lives: readonly Life[], sinceMs: number): boolean {
  return lives.some(({ isEmpty, startedMs }) => isEmpty && startedMs > sinceMs);
}

export interface Amnesia {
  /** Renewals of a living registration that were answered with 4.04. */
  readonly total: number;
  /** Those of an RD that had not lost its memory. */
  readonly unexplained: readonly string[];
}

/** Renewals that an RD refused although the registration's lifetime had not ended. */
export function amnesia(journal: Iterable<JournalEntry>, lives: ReadonlyMap<string, readonly Life[]>): Amnesia {
  const last = new Map<string, number>();
  const unexplained: string[] = [];
  let total = 0;
  for (const entry of journal) {
    if (!("op" in entry) || entry.href === undefined) continue;
    const key = `${entry.ep} ${entry.href}`;
    if (entry.kind === "acknowledged") last.set(key, entry.atMs);
    const renewedMs = last.get(key);
    if (entry.kind !== "refused" || entry.op !== "renew" || renewedMs === undefined) continue;
    if (entry.atMs > renewedMs + entry.ltS * 1000) continue;
    total++;
    if (!hasForgottenSince(lives.get(entry.rd) ?? [], renewedMs))
      unexplained.push(`${entry.code} to the renewal of ${entry.ep} at ${entry.href}`);
  }
  return { total, unexplained };
}
