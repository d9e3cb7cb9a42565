import { FaultyEntries } from "./faulty-entries.js";
import type { FeedKind } from "./types.js";
import type { Version } from "./version.js";

/** What a patch said about one half of a registration, waiting for the other half to catch up. */
export interface Staged<T> {
  /** null: the feed holds no such entry any more. */
  readonly value: T | null;
  /** Counter of the patch that said so. */
  readonly counter: number;
  /** Told because the feed started anew: the other feed may have told its half long ago. */
  readonly isOfCopy: boolean;
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

  constructor(kind: FeedKind) {
    this.kind = kind;
  }

  startAnew(): void {
    this.staged.clear();
    this.seen = new Set();
    this.faulty.startAnew();
    this.complete = false;
  }

  stage(href: string, value: T | null, counter: number): void {
    this.staged.delete(href);
    this.staged.set(href, { value, counter, isOfCopy: this.seen !== null });
    if (value === null) this.seen?.delete(href);
    else this.seen?.add(href);
  }

  /** Change a staged entry without making it wait longer; false when none is staged. */
  restage(href: string, change: (value: T) => T): boolean {
    const known = this.staged.get(href);
    if (known === undefined || known.value === null) return false;
    this.staged.set(href, { ...known, value: change(known.value) });
    return true;
  }

  /** Whether the feed, as far as it is told, has an entry that the replica already took over. */
  covers(href: string): boolean {
    return this.seen === null || this.seen.has(href);
  }
}
