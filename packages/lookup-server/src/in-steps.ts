import { LINKS_PER_STEP } from "./constants.js";

/** Calls `see` for each item, and yields after every `LINKS_PER_STEP` of them. Returns what `see` returned. */
export function* inSteps<T, U>(items: Iterable<T>, see: (item: T) => U): Generator<void, U[]> {
  const seen: U[] = [];
  for (const item of items) if (seen.push(see(item)) % LINKS_PER_STEP === 0) yield;
  return seen;
}

/** The same without results. */
export function* forEachInSteps<T>(items: Iterable<T>, see: (item: T) => void): Generator<void, void> {
  let count = 0;
  for (const item of items) {
    see(item);
    if (++count % LINKS_PER_STEP === 0) yield;
  }
}
