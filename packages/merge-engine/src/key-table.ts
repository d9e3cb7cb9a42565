import type { KeyState } from "./stored-record.js";
import { ownText, type StringPool } from "./string-pool.js";

/** The (ep, d) pairs that have records; `d` absent is a value of its own (rule 5). */
export class KeyTable {
  readonly #pool: StringPool;
  readonly #withoutSector = new Map<string, KeyState>();
  readonly #withSector = new Map<string, KeyState>();
  readonly #bySlot: (KeyState | undefined)[] = [];
  /** Slots of closed keys, used again so that they stay small numbers. */
  readonly #freeSlots: number[] = [];

  constructor(pool: StringPool) {
    this.#pool = pool;
  }

  /** Slots are below this number. */
  get slots(): number {
    return this.#bySlot.length;
  }

  get(ep: string, d: string | undefined): KeyState | undefined {
    return d === undefined ? this.#withoutSector.get(ep) : this.#withSector.get(sectoredText(ep, d));
  }

  at(slot: number): KeyState | undefined {
    return this.#bySlot[slot];
  }

  /** Make a key that is not there yet. */
  open(ep: string, d: string | undefined): KeyState {
    const slot = this.#freeSlots.pop() ?? this.#bySlot.length;
    const sector = d === undefined ? undefined : this.#pool.keep(d);
    const key: KeyState = { ep: ownText(ep), d: sector, slot, records: [], shown: null };
    this.#bySlot[slot] = key;
    if (sector === undefined) this.#withoutSector.set(key.ep, key);
    else this.#withSector.set(sectoredText(ep, sector), key);
    return key;
  }

  close(key: KeyState): void {
    if (key.d === undefined) this.#withoutSector.delete(key.ep);
    else this.#withSector.delete(sectoredText(key.ep, key.d));
    this.#bySlot[key.slot] = undefined;
    this.#freeSlots.push(key.slot);
  }
}

/** One text per pair, whatever characters the names hold, because the length of the first is told. */
function sectoredText(ep: string, d: string): string {
  return [ep.length, ep, d].join("\n");
}
