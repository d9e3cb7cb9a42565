import type { Attribute } from "@tributary/link-model";
import { MAX_INTERNED, MAX_INTERNED_LENGTH } from "./constants.js";

/** Keeps short strings that repeat (sectors, types, attribute names) once. Bounded: when it is full, new ones are not kept. */
export class StringPool {
  readonly #strings = new Map<string, string>();
  readonly #noAttributes: readonly Attribute[] = [];

  intern(text: string): string {
    if (text.length > MAX_INTERNED_LENGTH) return text;
    const known = this.#strings.get(text);
    if (known !== undefined) return known;
    if (this.#strings.size < MAX_INTERNED) this.#strings.set(text, text);
    return text;
  }

  internAttributes(attributes: readonly Attribute[]): readonly Attribute[] {
    if (attributes.length === 0) return this.#noAttributes;
    return attributes.map(
      ([name, value]): Attribute => [this.intern(name), value === null ? null : this.intern(value)],
    );
  }
}
