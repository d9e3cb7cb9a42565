import type { KeyState } from "./stored-record.js";

/** The (ep, d) pairs with live records; `d` absent is a value of its own (rule 5). */
export class KeyTable {
  readonly #keys = new Map<string, KeyState>();
  #nextSlot = 0;
  /** Slots of closed keys, used again so that they stay small numbers. */
  readonly #freeSlots: number[] = [];

  get(ep: string, d: string | undefined): KeyState | undefined {
    return this.#keys.get(keyText(ep, d));
  }

  /** The key, made when it is not there. */
  open(ep: string, d: string | undefined): KeyState {
    const text = keyText(ep, d);
    const known = this.#keys.get(text);
    if (known !== undefined) return known;
    const key: KeyState = { ep, d, slot: this.#freeSlots.pop() ?? this.#nextSlot++, records: [], shown: null };
    this.#keys.set(text, key);
    return key;
  }

  close(key: KeyState): void {
    if (this.#keys.delete(keyText(key.ep, key.d))) this.#freeSlots.push(key.slot);
  }
}

/** Neither name can hold U+0000 (RFC 9176 section 5); one that does anyway cannot collide, because its length is told. */
function keyText(ep: string, d: string | undefined): string {
  return d === undefined ? ep : `${ep}\u0000${ep.length}\u0000${d}`;
}
