import type { StoredRecord } from "./stored-record.js";

interface HeapItem {
  readonly atMs: number;
  readonly record: StoredRecord;
}

/**
 * Records by the time at which they may end. A renewal costs nothing: its record is looked at when the old time comes and
 * then put back at the new one. Stale items are dropped when met, and squeezed out when they outnumber the records.
 */
export class ExpiryHeap {
  #items: HeapItem[] = [];
  #scheduled = 0;

  get size(): number {
    return this.#items.length;
  }

  /** Make sure that `record` is looked at no later than its end. */
  schedule(record: StoredRecord): void {
    if (record.scheduledMs <= record.expiresAtMs) return;
    if (record.scheduledMs === Number.POSITIVE_INFINITY) this.#scheduled++;
    record.scheduledMs = record.expiresAtMs;
    this.#push({ atMs: record.expiresAtMs, record });
    if (this.#items.length > 2 * this.#scheduled + 64) this.#squeeze();
  }

  forget(record: StoredRecord): void {
    if (record.scheduledMs === Number.POSITIVE_INFINITY) return;
    record.scheduledMs = Number.POSITIVE_INFINITY;
    this.#scheduled--;
  }

  /** Earliest time at which a record may end. */
  earliestMs(): number | undefined {
    while (this.#items.length > 0) {
      const { atMs, record } = this.#items[0] as HeapItem;
      if (record.scheduledMs === atMs) return atMs;
      this.#popItem();
    }
    return undefined;
  }

  /** Take out a record whose time has come by `nowMs`; its end may have moved since. */
  take(nowMs: number): StoredRecord | undefined {
    const earliest = this.earliestMs();
    if (earliest === undefined || earliest > nowMs) return undefined;
    const { record } = this.#popItem();
    this.forget(record);
    return record;
  }

  #squeeze(): void {
    const kept = this.#items.filter(({ atMs, record }) => record.scheduledMs === atMs);
    this.#items = [];
    const seen = new Set<StoredRecord>();
    for (const item of kept) {
      if (seen.has(item.record)) continue;
      seen.add(item.record);
      this.#push(item);
    }
  }

  #push(item: HeapItem): void {
    const items = this.#items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if ((items[parent] as HeapItem).atMs <= item.atMs) break;
      items[at] = items[parent] as HeapItem;
      at = parent;
    }
    items[at] = item;
  }

  #popItem(): HeapItem {
    const items = this.#items;
    const top = items[0] as HeapItem;
    const last = items.pop() as HeapItem;
    if (items.length > 0) this.#siftDown(last);
    return top;
  }

  #siftDown(item: HeapItem): void {
    const items = this.#items;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && (items[child + 1] as HeapItem).atMs < (items[child] as HeapItem).atMs) child++;
      if ((items[child] as HeapItem).atMs >= item.atMs) break;
      items[at] = items[child] as HeapItem;
      at = child;
    }
    items[at] = item;
  }
}
