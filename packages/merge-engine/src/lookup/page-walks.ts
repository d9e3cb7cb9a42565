import type { Criterion } from "@tributary/link-model";
import type { KeyState } from "../records/stored-record.js";
import { compareKeys } from "../records/total-order.js";
import type { LookupInterface } from "../types.js";

/** A place in the results of a lookup: `position` results come before the first one of `key`, or of all keys. */
export interface WalkPlace {
  readonly position: number;
  readonly key: KeyState | undefined;
}

/** Candidates in a new segment, at least. One of twice the length is divided. */
const MIN_SEGMENT_LENGTH = 64;
/** About the number of segments of a lookup that everything can match. */
const MAX_SEGMENTS = 2048;
/** Lookups whose segments are kept. */
const MAX_WALKS = 64;
/** Changes that are applied to them one by one. Lookups that were not begun again within half as many are forgotten. */
const MAX_CHANGES = 2048;

/** A lookup of which a page is asked. */
export interface WalkedLookup {
  readonly kind: LookupInterface;
  readonly criteria: readonly Criterion[];
  readonly zone: string | undefined;
}

/** Results of a lookup from one key up to the next segment. */
interface Segment {
  /** Undefined: from the first key. */
  readonly key: KeyState | undefined;
  /** Number of results; -1: not known. */
  count: number;
}

/** The segments of one lookup, in order and without gaps. */
interface Walk {
  readonly segments: Segment[];
  /** Candidates in a new segment. */
  readonly length: number;
  /** Changes that are applied. */
  version: number;
  /** How often segments were divided. A walk under way whose segments another one divides takes no further part in counting. */
  divisions: number;
}

/**
 * Counts the results of lookups segment by segment, so that a deep page costs as much as a first one: a walk to a page skips the
 * segments before it. A change makes it necessary to count one segment again, not all of them.
 */
export class PageWalks {
  readonly #walks = new Map<string, Walk>();
  readonly #changed: KeyState[] = [];
  #version = 0;

  /** Changes so far. */
  get version(): number {
    return this.#version;
  }

  /** What lookups find at this key has changed. */
  note(key: KeyState): void {
    this.#version++;
    if (this.#walks.size === 0) return;
    this.#changed.push(key);
    if (this.#changed.length > MAX_CHANGES) this.#forgetUnused();
  }

  #forgetUnused(): void {
    this.#changed.splice(0, MAX_CHANGES / 2);
    const oldest = this.#version - this.#changed.length;
    for (const [name, { version }] of this.#walks) if (version < oldest) this.#walks.delete(name);
  }

  /** Everything may have changed. */
  forget(): void {
    this.#version++;
    this.#walks.clear();
    this.#changed.length = 0;
  }

  /** Begins a walk to the result at `start`, in a directory with so many keys. */
  begin({ kind, criteria, zone }: WalkedLookup, start: number, size: number): PageWalk {
    const name = JSON.stringify([kind, zone ?? null, criteria.map((one) => [one.name, one.value, one.isPrefix])]);
    const walk = this.#open(name, size);
    this.#applyChanges(walk);
    return new PageWalk(this, walk, start);
  }

  #open(name: string, size: number): Walk {
    if (this.#walks.size === 0) this.#changed.length = 0;
    const walk = this.#walks.get(name) ?? {
      segments: [{ key: undefined, count: -1 }],
      length: Math.max(MIN_SEGMENT_LENGTH, Math.ceil(size / MAX_SEGMENTS)),
      version: this.#version,
      divisions: 0,
    };
    // The least recently used one is the first.
    this.#walks.delete(name);
    this.#walks.set(name, walk);
    if (this.#walks.size > MAX_WALKS) this.#walks.delete(this.#walks.keys().next().value as string);
    return walk;
  }

  #applyChanges(walk: Walk): void {
    const first = this.#changed.length - (this.#version - walk.version);
    for (const key of this.#changed.slice(Math.max(0, first))) {
      const segment = walk.segments[segmentOf(walk.segments, key)];
      if (segment !== undefined) segment.count = -1;
    }
    walk.version = this.#version;
  }
}

/** One walk through the results of a lookup. */
export class PageWalk {
  readonly #walks: PageWalks;
  readonly #walk: Walk;
  readonly #segments: Segment[];
  readonly #start: number;
  #at = 0;
  /** Where the present segment begins. */
  #position = 0;
  /** Candidates passed in it. */
  #passed = 0;
  /** Changes before it was begun. */
  #version: number;
  #divisions: number;

  constructor(walks: PageWalks, walk: Walk, start: number) {
    this.#walks = walks;
    this.#walk = walk;
    this.#segments = walk.segments;
    this.#divisions = walk.divisions;
    this.#start = start;
    this.#version = walks.version;
  }

  /** Skips the segments that are known to end before the start of the page. Returns where to go on. */
  skip(): WalkPlace {
    while (this.#maySkip()) {
      this.#position += (this.#segments[this.#at] as Segment).count;
      this.#at++;
    }
    this.#passed = 0;
    this.#version = this.#walks.version;
    return { position: this.#position, key: this.#segments[this.#at]?.key };
  }

  /** The walk comes to a candidate with `position` results before it. True: `skip` leads further than the next candidate. */
  pass(key: KeyState, position: number): boolean {
    if (this.#divisions !== this.#walk.divisions) return false;
    let next = this.#segments[this.#at + 1];
    let isNewSegment = false;
    while (next?.key !== undefined && compareKeys(next.key, key) <= 0) {
      this.#end(position);
      isNewSegment = true;
      next = this.#segments[this.#at + 1];
    }
    if (this.#passed >= (next === undefined ? this.#walk.length : 2 * this.#walk.length)) {
      this.#segments.splice(this.#at + 1, 0, { key, count: -1 });
      this.#divisions = ++this.#walk.divisions;
      this.#end(position);
    }
    this.#passed++;
    return isNewSegment && this.#maySkip();
  }

  #maySkip(): boolean {
    const segment = this.#segments[this.#at];
    const isLast = this.#at === this.#segments.length - 1;
    return segment !== undefined && !isLast && segment.count >= 0 && this.#position + segment.count <= this.#start;
  }

  /** The present segment ends before the result at `position`. What changed while it was counted may be counted or not. */
  #end(position: number): void {
    const segment = this.#segments[this.#at];
    if (segment !== undefined) segment.count = this.#version === this.#walks.version ? position - this.#position : -1;
    this.#at++;
    this.#position = position;
    this.#passed = 0;
    this.#version = this.#walks.version;
  }
}

/** The last segment that begins at the key or before it. */
function segmentOf(segments: readonly Segment[], key: KeyState): number {
  let low = 1;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const first = segments[middle]?.key;
    if (first !== undefined && compareKeys(first, key) <= 0) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
