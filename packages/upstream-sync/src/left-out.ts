import type { TolerantParseResult } from "@tributary/link-model";
import type { EntryFault } from "@tributary/replication";
import { MAX_LEFT_OUT_RECORDS } from "./constants.js";

/**
 * Why something that an upstream says is not in the answers of this node. Only losses have a cause: what this node need not
 * take (registrations of an RD that is followed itself) is none.
 */
export type LeftOutCause =
  | EntryFault
  /** A document ends within a link. */
  | "cut-off"
  /** Links that could not be attributed to a registration, and are not shown with any. */
  | "no-registration"
  /** Registrations whose links could not be read. */
  | "no-links"
  /** No room: `limits.registrations`. */
  | "directory-full"
  /** No room: `limits.memory`. */
  | "memory"
  /** A record kept on disk was damaged. */
  | "damaged";

/** What one part of an upstream leaves out for one cause. */
export interface Loss {
  readonly count: number;
  /** The first of it, in words. */
  readonly example: string;
}

/** What is left out of an upstream, by cause. */
export type Losses = ReadonlyMap<LeftOutCause, Loss>;

/** Hears when a cause appears, and when nothing is left out for it any more. */
export interface LeftOutListener {
  appeared(cause: LeftOutCause, loss: Loss): void;
  cleared(cause: LeftOutCause): void;
}

interface Part {
  losses: Losses;
  /** Of single records, by their key. */
  readonly records: Map<string, LeftOutCause>;
}

/**
 * What of one upstream is left out now, by cause. It is counted part by part: a part is what is replaced as a whole (a
 * document, one feed), or keeps account of single records. Counts are current; `total` only grows.
 */
export class LeftOut {
  readonly #listener: LeftOutListener;
  readonly #parts = new Map<string, Part>();
  readonly #counts = new Map<LeftOutCause, number>();
  readonly #total = new Map<string, number>();

  constructor(listener: LeftOutListener) {
    this.#listener = listener;
  }

  /** Current counts, by cause; none is 0. A copy. */
  counts(): ReadonlyMap<LeftOutCause, number> {
    return new Map(this.#counts);
  }

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  /** Everything that was ever left out, by the cause that metrics show. Monotonic. */
  get total(): ReadonlyMap<string, number> {
    return this.#total;
  }

  /** `part` was read again as a whole: this is what it leaves out from now on. */
  replace(part: string, losses: Losses): void {
    const known = this.#parts.get(part);
    if (losses.size === 0 && known === undefined) return;
    const one = known ?? this.#open(part);
    const before = one.losses;
    one.losses = losses;
    for (const [cause, loss] of losses) this.#change(cause, loss.count - (before.get(cause)?.count ?? 0), loss.example);
    for (const [cause, { count }] of before) if (!losses.has(cause)) this.#change(cause, -count, "");
    this.#forgetIfEmpty(part, one);
  }

  /** All of `part` was received again, and nothing of it can be read. Counted each time. */
  unreadable(part: string, example: string): void {
    const wasSo = this.#parts.get(part)?.losses.has("malformed") === true;
    if (wasSo) this.refused("malformed");
    this.replace(part, new Map([["malformed", { count: 1, example }]]));
  }

  /** One record of `part` is left out, for this cause alone. Beyond a bound the oldest record loses its name, not its count. */
  record(part: string, key: string, cause: LeftOutCause, example: string): void {
    const one = this.#parts.get(part) ?? this.#open(part);
    const before = one.records.get(key);
    if (before === cause) return;
    one.records.delete(key);
    one.records.set(key, cause);
    this.#change(cause, 1, example);
    if (before !== undefined) this.#change(before, -1, "");
    if (one.records.size > MAX_LEFT_OUT_RECORDS) this.#foldOldest(one);
  }

  /** A record of `part` was taken over, or is gone. */
  taken(part: string, key: string): void {
    const one = this.#parts.get(part);
    const cause = one?.records.get(key);
    if (one === undefined || cause === undefined) return;
    one.records.delete(key);
    this.#change(cause, -1, "");
    this.#forgetIfEmpty(part, one);
  }

  /** Nothing of `part` is left out any more: it is gone, or will be received again from the start. */
  clear(part: string): void {
    const one = this.#parts.get(part);
    if (one === undefined) return;
    this.#parts.delete(part);
    for (const [cause, { count }] of one.losses) this.#change(cause, -count, "");
    for (const cause of one.records.values()) this.#change(cause, -1, "");
  }

  /** Something was not taken of which nothing is missing afterwards: it will be read again. Only counted. */
  refused(cause: LeftOutCause): void {
    this.#count(cause, 1);
  }

  #open(name: string): Part {
    const part: Part = { losses: new Map(), records: new Map() };
    this.#parts.set(name, part);
    return part;
  }

  #forgetIfEmpty(name: string, { losses, records }: Part): void {
    if (losses.size === 0 && records.size === 0) this.#parts.delete(name);
  }

  #foldOldest(part: Part): void {
    const [[key, cause]] = part.records as unknown as [[string, LeftOutCause]];
    part.records.delete(key);
    const { count, example } = part.losses.get(cause) ?? { count: 0, example: "" };
    part.losses = new Map([...part.losses, [cause, { count: count + 1, example }]]);
  }

  #change(cause: LeftOutCause, by: number, example: string): void {
    if (by === 0) return;
    const before = this.#counts.get(cause) ?? 0;
    const after = before + by;
    if (by > 0) this.#count(cause, by);
    if (after === 0) this.#counts.delete(cause);
    else this.#counts.set(cause, after);
    if (before === 0) this.#listener.appeared(cause, { count: after, example });
    else if (after === 0) this.#listener.cleared(cause);
  }

  #count(cause: LeftOutCause, by: number): void {
    const name = `upstream-${cause}`;
    this.#total.set(name, (this.#total.get(name) ?? 0) + by);
  }
}

/** Counts causes of losses while one part is read. */
export class LossCount {
  readonly #losses = new Map<LeftOutCause, Loss>();

  add(cause: LeftOutCause, example: string, count = 1): void {
    if (count <= 0) return;
    const known = this.#losses.get(cause);
    this.#losses.set(cause, { count: (known?.count ?? 0) + count, example: known?.example ?? example });
  }

  get losses(): Losses {
    return this.#losses;
  }
}

/** Nothing is left out. */
export const NO_LOSSES: Losses = new Map();

/** What is lost of a document that was read tolerantly; `what` names it. Pure. */
export function documentLosses({ problems, leftOut, isTruncated }: TolerantParseResult, what: string): Losses {
  if (leftOut === 0 && !isTruncated) return NO_LOSSES;
  const losses = new LossCount();
  const reason = problems.at(-1)?.message ?? "a link cannot be read";
  // The piece that is cut off is one of those that are no links.
  losses.add("malformed", `${what}: ${reason}`, isTruncated ? leftOut - 1 : leftOut);
  if (isTruncated) losses.add("cut-off", `${what} ends within a link`);
  return losses.losses;
}
