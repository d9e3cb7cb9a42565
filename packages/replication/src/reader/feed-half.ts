import type { StagingMemory } from "../staging-memory.js";
import type { FeedKind } from "../types.js";
import type { Version } from "../version.js";
import { FaultyEntries } from "./faulty-entries.js";

/** What a patch said about one half of a registration, waiting for the other half to catch up. */
export interface Staged<T> {
  /** null: the feed holds no such entry any more, or there is no room for it. */
  readonly value: T | null;
  /** The feed has it, and there is no room for it here. */
  readonly isLeftOut: boolean;
  /** Bytes of memory that it takes, or would take. */
  readonly weight: number;
  /** Counter of the patch that said so. */
  readonly counter: number;
  /** Part of a copy from the start: the other feed may have sent its half long ago. */
  readonly isOfCopy: boolean;
}

/** Entries that are left out are remembered as received up to this number; beyond it, any may have been received. */
const MAX_SEEN_LEFT_OUT = 262_144;
const MAX_SEEN_LENGTH = 256;

export interface FeedHalfDeps<T> {
  readonly memory: StagingMemory;
  readonly weightOf: (value: T) => number;
}

/** One of the two feeds as its reader has it: position, and the entries not yet joined with the other feed. */
export class FeedHalf<T> {
  readonly kind: FeedKind;
  version: Version | null = null;
  complete = false;
  /** During a copy from the start: what the new document has so far. null: no copy is under way. */
  seen: Set<string> | null = null;
  /** By ascending counter. */
  readonly staged = new Map<string, Staged<T>>();
  readonly faulty = new FaultyEntries();
  readonly #deps: FeedHalfDeps<T>;
  #hasSeenMore = false;
  /** What was staged since it was last tried to join it with the other half; by ascending counter. */
  readonly #untried = new Set<string>();

  constructor(kind: FeedKind, deps: FeedHalfDeps<T>) {
    this.kind = kind;
    this.#deps = deps;
  }

  startAgain(): void {
    this.discard();
    this.#untried.clear();
    this.seen = new Set();
    this.#hasSeenMore = false;
    this.faulty.startAgain();
    this.complete = false;
  }

  /** Gives up all that waits for the other feed. */
  discard(): void {
    for (const href of [...this.staged.keys()]) this.unstage(href);
  }

  stage(href: string, value: T | null, counter: number): void {
    this.unstage(href);
    const weight = value === null ? 0 : this.#deps.weightOf(value);
    const isLeftOut = value !== null && !this.#deps.memory.take(weight);
    this.staged.set(href, {
      value: isLeftOut ? null : value,
      isLeftOut,
      weight,
      counter,
      isOfCopy: this.seen !== null,
    });
    this.#untried.delete(href);
    this.#untried.add(href);
    if (value === null) this.seen?.delete(href);
    else if (!isLeftOut || ((this.seen?.size ?? 0) < MAX_SEEN_LEFT_OUT && href.length <= MAX_SEEN_LENGTH))
      this.seen?.add(href);
    else this.#hasSeenMore = true;
  }

  unstage(href: string): void {
    const known = this.staged.get(href);
    if (known === undefined) return;
    this.staged.delete(href);
    if (known.value !== null) this.#deps.memory.give(known.weight);
  }

  /**
   * What was staged up to the counter `reached` and has not been tried to join yet, each once: whether something that waits
   * can be joined is decided again only when one of its halves is received again. It may be continued after changes.
   */
  *takeReached(reached: number): Generator<string> {
    for (const href of this.#untried) {
      const staged = this.staged.get(href);
      if (staged !== undefined && staged.counter > reached) return;
      this.#untried.delete(href);
      if (staged !== undefined) yield href;
    }
  }

  /** Try all that waits again. */
  reconsiderAll(): void {
    this.#untried.clear();
    for (const href of this.staged.keys()) this.#untried.add(href);
  }

  /** Change a staged entry without making it wait longer; false when none is staged. */
  restage(href: string, change: (value: T) => T): boolean {
    const known = this.staged.get(href);
    if (known === undefined) return false;
    if (known.value === null) return known.isLeftOut;
    this.staged.set(href, { ...known, value: change(known.value) });
    return true;
  }

  /** Whether the feed, as far as it was received, has an entry that the copy already has. */
  covers(href: string): boolean {
    return this.seen === null || this.#hasSeenMore || this.seen.has(href);
  }
}
