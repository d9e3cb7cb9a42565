import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ExpiryHeap } from "./expiry-heap.js";
import type { StoredRecord } from "./stored-record.js";

describe("the expiry heap", () => {
  const record = (expiresAtMs: number) => ({ expiresAtMs, scheduledMs: 0, heapIndex: -1 }) as unknown as StoredRecord;

  test("it gives every record by its end, never late, and holds each once however often it is renewed", () => {
    const step = fc.record({ at: fc.nat(60), expiresAtMs: fc.nat(1000), isForgotten: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: "max" }), fc.nat(1000), (steps, nowMs) => {
        const heap = new ExpiryHeap();
        const records = Array.from({ length: 61 }, () => record(0));
        const held = new Set<StoredRecord>();
        for (const { at, expiresAtMs, isForgotten } of steps) {
          const one = records[at] as StoredRecord;
          one.expiresAtMs = expiresAtMs;
          if (isForgotten) heap.forget(one);
          else heap.schedule(one);
          if (isForgotten) held.delete(one);
          else held.add(one);
          expect(heap.size).toBe(held.size);
        }
        const due = new Set(heap.dueBy(nowMs));
        const taken = new Set<StoredRecord>();
        let last = 0;
        for (let one = heap.take(nowMs); one !== undefined; one = heap.take(nowMs)) {
          expect(one.scheduledMs).toBeGreaterThanOrEqual(last);
          last = one.scheduledMs;
          taken.add(one);
        }
        expect(taken).toEqual(due);
        for (const one of held) if (one.expiresAtMs <= nowMs) expect(taken.has(one)).toBe(true);
        expect(heap.size).toBe(held.size - taken.size);
        expect(heap.earliestMs() ?? Number.POSITIVE_INFINITY).toBeGreaterThan(nowMs);
      }),
      { numRuns: 500 },
    );
  });

  test("a hundred thousand renewals leave one item", () => {
    const heap = new ExpiryHeap();
    const one = record(10);
    for (let nowMs = 0; nowMs < 100_000; nowMs++) {
      one.expiresAtMs = nowMs + (nowMs % 7);
      heap.schedule(one);
    }
    expect(heap.size).toBe(1);
    heap.forget(one);
    expect([heap.size, heap.earliestMs()]).toEqual([0, undefined]);
  });
});
