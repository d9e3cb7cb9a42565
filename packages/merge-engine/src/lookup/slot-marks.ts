const WORD_BITS = 5;
const BIT_IN_WORD = 31;

/** A set of slots, one bit each. */
export class SlotMarks {
  readonly #words: Uint32Array;

  /** All slots that may be added later are below `slots`, or are left out. */
  constructor(slots: number) {
    this.#words = new Uint32Array((slots >>> WORD_BITS) + 1);
  }

  add(slot: number): void {
    const word = slot >>> WORD_BITS;
    this.#words[word] = (this.#words[word] as number) | (1 << (slot & BIT_IN_WORD));
  }

  has(slot: number): boolean {
    return ((this.#words[slot >>> WORD_BITS] ?? 0) & (1 << (slot & BIT_IN_WORD))) !== 0;
  }

  /** Removes what is not in `other`. */
  keepCommon(other: SlotMarks): void {
    const words = this.#words;
    for (let at = 0; at < words.length; at++) words[at] = (words[at] as number) & (other.#words[at] ?? 0);
  }

  /** The slots in increasing order; null if there are more than `limit`. */
  slots(limit: number): number[] | null {
    const slots: number[] = [];
    for (const [at, word] of this.#words.entries()) {
      for (let rest = word; rest !== 0; rest &= rest - 1) {
        if (slots.length >= limit) return null;
        slots.push((at << WORD_BITS) + BIT_IN_WORD - Math.clz32(rest & -rest));
      }
    }
    return slots;
  }
}
