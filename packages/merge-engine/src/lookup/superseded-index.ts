import type { StoredRecord } from "../records/stored-record.js";
import { AttributeIndex, tokensOf } from "./attribute-index.js";

/**
 * This node's own records that another one is shown instead of, indexed by the slots of their keys: lookups of what is registered
 * here find them as quickly as those that are shown.
 */
export class SupersededIndex {
  readonly index = new AttributeIndex();
  readonly #records = new Set<StoredRecord>();
  #version = 0;

  /** Changes so far. A search that takes several turns has to know whether a record came or went meanwhile. */
  get version(): number {
    return this.#version;
  }

  /** Superseded records. */
  get size(): number {
    return this.#records.size;
  }

  /** Takes note of which own records of a key are superseded now. */
  update({ records, shown }: StoredRecord["key"]): void {
    for (const record of records) {
      if (record.source.authority !== null) continue;
      if (record === shown) this.delete(record);
      else this.#add(record);
    }
  }

  /** Before a record is written or removed. */
  delete(record: StoredRecord): void {
    if (!this.#records.delete(record)) return;
    this.#version++;
    const { slot, records } = record.key;
    this.index.change(slot, tokensOf(record), null);
    // Another own record of the key may be found by the same.
    for (const other of records) if (this.#records.has(other)) this.index.change(slot, null, tokensOf(other));
  }

  #add(record: StoredRecord): void {
    if (this.#records.has(record)) return;
    this.#version++;
    this.#records.add(record);
    this.index.change(record.key.slot, null, tokensOf(record));
  }
}
