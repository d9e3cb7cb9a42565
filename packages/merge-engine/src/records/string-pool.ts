import { MAX_POOLED_LENGTH, POOL_GENERATION } from "../constants.js";

/** Shorter strings are never slices of another string. */
const MIN_SLICED_LENGTH = 13;

/**
 * Returns a copy of `text` that keeps nothing else alive. A string that was cut out of a document, or concatenated, may refer to the
 * whole document for as long as it lives, which may be days in a directory.
 */
export function ownText(text: string): string {
  return text.length < MIN_SLICED_LENGTH ? text : [text.charAt(0), text.slice(1)].join("");
}

/**
 * Stores short repeated strings (sectors, resource types, attribute names) once. It is bounded by two generations: when the young one
 * is full it becomes the old one, and strings that were not used meanwhile are dropped.
 */
export class StringPool {
  #young = new Map<string, string>();
  #old = new Map<string, string>();

  /** Returns `text`, if possible as the same object for equal texts, independent of the document that it came in. */
  keep(text: string): string {
    if (text.length > MAX_POOLED_LENGTH) return ownText(text);
    const known = this.#young.get(text);
    if (known !== undefined) return known;
    const kept = this.#old.get(text) ?? ownText(text);
    if (this.#young.size >= POOL_GENERATION) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(kept, kept);
    return kept;
  }

  /** Strings held at present. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }
}
