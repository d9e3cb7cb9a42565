import { SMALL_POSTING } from "../constants.js";
import { SortedChunks } from "../records/sorted-chunks.js";

/** Slots of the keys that have a token: most tokens have one, few have many. */
export type Posting = number | number[] | SortedChunks<number>;

export function withSlot(posting: Posting, slot: number): Posting {
  if (typeof posting === "number") return posting === slot ? posting : [posting, slot];
  if (posting instanceof SortedChunks) {
    posting.add(slot);
    return posting;
  }
  if (posting.includes(slot)) return posting;
  posting.push(slot);
  if (posting.length <= SMALL_POSTING) return posting;
  const chunks = new SortedChunks<number>(isSmaller);
  for (const one of posting) chunks.add(one);
  return chunks;
}

/** The posting without `slot`; undefined when nothing is left. */
export function withoutSlot(posting: Posting, slot: number): Posting | undefined {
  if (typeof posting === "number") return posting === slot ? undefined : posting;
  if (posting instanceof SortedChunks) {
    posting.delete(slot);
    // Half of the limit, so that a slot that comes and goes does not convert it to and fro.
    return posting.size > SMALL_POSTING / 2 ? posting : [...posting.from()];
  }
  const at = posting.indexOf(slot);
  if (at >= 0) posting.splice(at, 1);
  return posting.length === 1 ? posting[0] : posting;
}

export function postingSize(posting: Posting): number {
  if (typeof posting === "number") return 1;
  return posting instanceof SortedChunks ? posting.size : posting.length;
}

export function forEachSlot(posting: Posting, visit: (slot: number) => void): void {
  if (typeof posting === "number") visit(posting);
  else posting.forEach(visit);
}

/** The slots, some at a time. The directory may change in between. */
export function slotsOf(posting: Posting): Iterable<readonly number[]> {
  if (typeof posting === "number") return [[posting]];
  return posting instanceof SortedChunks ? posting.chunks() : [posting];
}

function isSmaller(one: number, other: number): boolean {
  return one < other;
}
