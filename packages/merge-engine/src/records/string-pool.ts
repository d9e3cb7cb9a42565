import { MAX_POOLED_LENGTH, POOL_GENERATION } from "../constants.js";

/** Shorter strings never refer to the text that they were cut from. */
const MIN_SLICED_LENGTH = 13;

/**
 * A copy of `text` that keeps nothing else alive. A string cut out of a document, or put together from pieces, may refer to
 * the whole document for as long as it lives; what stays in a directory for days must not.
 */
export function ownText(text: string): string {
  return text.length < MIN_SLICED_LENGTH ? text : [text.charAt(0), text.slice(1)].join("");
}

/**
 * Keeps short strings that repeat (sectors, resource types, attribute names) once. Two generations bound it: when the young
 * one is full it becomes the old one, and what nobody asked for since the last time falls out.
 */
export class StringPool {
  #young = new Map<string, string>();
  #old = new Map<string, string>();

  /** `text`, the same object for equal texts as far as possible, independent of the document that it came in. */
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
