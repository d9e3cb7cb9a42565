import type { Chance } from "./chance.ts";

/** Something that takes input from the network or from people, and how to attack it. */
export interface Surface<I = unknown> {
  readonly name: string;
  /** How many of all inputs go here, relative to the others. */
  readonly share: number;
  /** An input; `chance` alone decides on it. */
  make(chance: Chance): I;
  open(): Promise<Target<I>> | Target<I>;
  /** The input for people: what to paste into a test. */
  show(input: I): string;
  /** Inputs that are a little simpler than `input`, simplest first. */
  simpler(input: I): Iterable<I>;
}

/** What is attacked. Whatever throws here has found a mistake. */
export interface Target<I> {
  feed(input: I): Promise<void> | void;
  /** Is it still whole, and does it do its work? Called every so many inputs. */
  check(): Promise<void> | void;
  /** After the last input: let time pass, and see that nothing has piled up. */
  finish(): Promise<void> | void;
  close(): Promise<void> | void;
}

/** A mistake that a target found. */
export class Finding extends Error {
  override readonly name = "Finding";
}

/** Text or bytes with pieces left out, the largest pieces first. */
export function* cuttings<T extends { readonly length: number; slice(start: number, end?: number): T }>(
  whole: T,
  join: (head: T, tail: T) => T,
): Generator<T> {
  for (let size = whole.length; size >= 1; size = Math.floor(size / 2)) {
    for (let start = 0; start < whole.length; start += size) {
      yield join(whole.slice(0, start), whole.slice(start + size));
    }
  }
}
