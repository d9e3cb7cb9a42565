import type { StoredRecord } from "./stored-record.js";

/**
 * Records by the time at which they may end, each at most once. A renewal costs nothing: the record is examined at its old time
 * and then put back at the new one. Removal is immediate, so that no garbage is kept.
 */
export class ExpiryHeap {
  readonly #records: StoredRecord[] = [];

  get size(): number {
    return this.#records.length;
  }

  /** Makes sure that `record` is examined no later than its end. */
  schedule(record: StoredRecord): void {
    if (record.heapIndex >= 0 && record.scheduledMs <= record.expiresAtMs) return;
    record.scheduledMs = record.expiresAtMs;
    if (record.heapIndex < 0) {
      record.heapIndex = this.#records.length;
      this.#records.push(record);
    }
    this.#siftUp(record);
  }

  forget(record: StoredRecord): void {
    const at = record.heapIndex;
    if (at < 0) return;
    record.heapIndex = -1;
    const last = this.#records.pop() as StoredRecord;
    if (last === record) return;
    this.#place(last, at);
    this.#siftUp(last);
    this.#siftDown(last);
  }

  /** Earliest time at which a record may end. */
  earliestMs(): number | undefined {
    return this.#records[0]?.scheduledMs;
  }

  /** Removes and returns a record whose time has come by `nowMs`; its end may have moved since. */
  take(nowMs: number): StoredRecord | undefined {
    const first = this.#records[0];
    if (first === undefined || first.scheduledMs > nowMs) return undefined;
    this.forget(first);
    return first;
  }

  /** Returns the records whose time has come by `nowMs` without removing them, in time proportional to their number. */
  *dueBy(nowMs: number): Generator<StoredRecord> {
    const open = [0];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const record = this.#records[at];
      if (record === undefined || record.scheduledMs > nowMs) continue;
      open.push(2 * at + 1, 2 * at + 2);
      yield record;
    }
  }

  #place(record: StoredRecord, at: number): void {
    this.#records[at] = record;
    record.heapIndex = at;
  }

  #siftUp(record: StoredRecord): void {
    let at = record.heapIndex;
    while (at > 0) {
      const parent = this.#records[(at - 1) >>> 1] as StoredRecord;
      if (parent.scheduledMs <= record.scheduledMs) break;
      const above = parent.heapIndex;
      this.#place(parent, at);
      at = above;
    }
    this.#place(record, at);
  }

  #siftDown(record: StoredRecord): void {
    let at = record.heapIndex;
    for (;;) {
      let child = this.#records[2 * at + 1];
      const right = this.#records[2 * at + 2];
      if (child === undefined) break;
      if (right !== undefined && right.scheduledMs < child.scheduledMs) child = right;
      if (child.scheduledMs >= record.scheduledMs) break;
      const below = child.heapIndex;
      this.#place(child, at);
      at = below;
    }
    this.#place(record, at);
  }
}
