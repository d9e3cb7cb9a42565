import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LargeMap } from "./large-map.js";
import { hrefTokenName } from "./lookup/attribute-index.js";
import type { Source } from "./records/stored-record.js";
import { RegistrationBook } from "./registration-book.js";
import { SharedLimit } from "./shared-limit.js";
import { registration } from "./testing/directories.js";

function sourceOf(book: RegistrationBook, name: string): Source {
  const source: Source = {
    name,
    hrefToken: hrefTokenName(name),
    clock: book.clock,
    leadMs: 0,
    authority: null,
    account: name,
    isConnected: true,
    records: new LargeMap(),
    overdue: new Set(),
    shown: 0,
  };
  book.sources.set(name, source);
  return source;
}

describe("what is gone leaves nothing behind", () => {
  const step = fc.record({
    kind: fc.constantFrom(
      "put",
      "put",
      "put",
      "renew",
      "renew",
      "drop",
      "expire",
      "expire",
      "disconnect",
      "connect",
      "connect",
    ),
    source: fc.nat(1),
    path: fc.constantFrom("/1", "/2", "/3", "/4"),
    ep: fc.constantFrom("n1", "n2"),
    et: fc.constantFrom("x", "y", "z"),
    rt: fc.constantFrom("x", "x y", "y z", "", "z z"),
    renewedAtMs: fc.nat(20),
    ltMs: fc.integer({ min: 1, max: 15 }),
    expiry: fc.constantFrom("exact" as const, "assumed" as const),
  });

  test("not in the index, the heap, the keys or the counts, after any history", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        const book = new RegistrationBook({ registrations: new SharedLimit(100), memory: new SharedLimit(1_000_000) });
        const sources = [sourceOf(book, "a"), sourceOf(book, "b")];
        let nowMs = 0;
        for (const { kind, path, ep, et, rt, renewedAtMs, ltMs, expiry, ...one } of steps) {
          nowMs++;
          const source = sources[one.source] as Source;
          const record = source.records.get(path);
          const times = { renewedAtMs, expiresAtMs: renewedAtMs + ltMs };
          const links = [{ target: `coap://${et}`, attributes: [["rt", rt] as const, ["rt", "x"] as const] }];
          const attributes = [["et", et] as const];
          if (kind === "put")
            book.put(source, registration(path, ep, renewedAtMs, { ...times, expiry, links, attributes }), nowMs);
          if (kind === "renew" && record !== undefined) book.renew(record, times, nowMs);
          if (kind === "drop" && record !== undefined) book.drop(record, "removed", nowMs);
          if (kind === "expire" || kind === "connect") book.expire(nowMs);
          if (kind === "connect") source.isConnected = true;
          if (kind === "disconnect") book.disconnect(source);
          const records = sources.flatMap((each) => [...each.records.values()]);
          expect(book.heap.size + sources.reduce((sum, each) => sum + each.overdue.size, 0)).toBe(records.length);
          expect([...book.union.keys()].flatMap((key) => key.records)).toHaveLength(records.length);
          const shown = sources.reduce((sum, each) => sum + each.shown, 0);
          expect(book.union.superseded.size + shown).toBe(records.length);
        }
        for (const source of sources) book.clear(source, "removed", nowMs);
        expect([book.union.tokenCount, book.heap.size, [...book.union.keys()].length]).toEqual([0, 0, 0]);
        expect([book.union.superseded.size, book.union.superseded.index.size]).toEqual([0, 0]);
        const left = sources.map(({ shown, overdue, records }) => [shown, overdue.size, records.size]);
        expect(left).toEqual([
          [0, 0, 0],
          [0, 0, 0],
        ]);
        // Slots are used again, so that there are never more than keys at one time.
        expect(book.keys.slots).toBeLessThanOrEqual(2);
      }),
      { numRuns: 500 },
    );
  });
});
