import { EndpointTable } from "./endpoint-table.js";
import type { KeyState } from "./stored-record.js";
import { ownText, type StringPool } from "./string-pool.js";

/** The (ep, d) pairs that have records; `d` absent is a value of its own (rule 5). */
export class KeyTable {
  readonly #pool: StringPool;
  readonly #byEndpoint = new EndpointTable<KeyState>(({ d }) => d);
  readonly #bySlot: (KeyState | undefined)[] = [];
  /** Slots of closed keys, to be used again so that slots stay small. */
  readonly #freeSlots: number[] = [];

  constructor(pool: StringPool) {
    this.#pool = pool;
  }

  /** All slots are below this number. */
  get slots(): number {
    return this.#bySlot.length;
  }

  get(ep: string, d: string | undefined): KeyState | undefined {
    return this.#byEndpoint.get(ep, d);
  }

  /** Returns the keys of an endpoint name in all sectors, in no order. */
  named(ep: string): readonly KeyState[] {
    return this.#byEndpoint.named(ep);
  }

  at(slot: number): KeyState | undefined {
    return this.#bySlot[slot];
  }

  /** Creates a key that does not exist yet. */
  open(ep: string, d: string | undefined): KeyState {
    const slot = this.#freeSlots.pop() ?? this.#bySlot.length;
    const sector = d === undefined ? undefined : this.#pool.keep(d);
    const key: KeyState = { ep: ownText(ep), d: sector, slot, records: [], shown: null, counted: -1 };
    this.#bySlot[slot] = key;
    this.#byEndpoint.set(key.ep, key);
    return key;
  }

  close(key: KeyState): void {
    this.#byEndpoint.delete(key.ep, key.d);
    this.#bySlot[key.slot] = undefined;
    this.#freeSlots.push(key.slot);
  }
}
