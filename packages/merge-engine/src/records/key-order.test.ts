import fc from "fast-check";
import { expect, test } from "vitest";
import { KeyOrder } from "./key-order.js";
import type { KeyState, StoredRecord } from "./stored-record.js";
import { compareKeys } from "./total-order.js";

const NAMES = 3000;
const change = fc.record({
  at: fc.nat(NAMES - 1),
  what: fc.constantFrom("toggle" as const, "toggle" as const, "links" as const, "hide" as const, "zone" as const),
  links: fc.nat(4),
});

function keyCalled(ep: string, d?: string): KeyState {
  return { ep, d, slot: 0, records: [], shown: null, counted: -1 };
}

/** A record with so many links, as far as the order looks at it. */
function shown(links: number, zone?: string): StoredRecord {
  const packed = Array.from({ length: links }, (_, at) => [`coap://x/${at}`, 1, "rt", "t"]).flat();
  return { links: packed, zone } as unknown as StoredRecord;
}

const results = (kind: "ep" | "res", { shown }: KeyState): number =>
  shown === null || shown.zone !== undefined ? 0 : kind === "ep" ? 1 : shown.links.length / 4;

test("a result is found by its number, as by counting from the first one, whatever changed before", () => {
  fc.assert(
    fc.property(fc.array(change, { minLength: 500, maxLength: 3000, size: "max" }), fc.nat(NAMES), (changes, bound) => {
      const order = new KeyOrder();
      const keys = Array.from({ length: NAMES }, (_, at) =>
        keyCalled(`n${String(at >> 1).padStart(4, "0")}`, at % 2 === 0 ? undefined : "d"),
      );
      const present = new Set<KeyState>();
      const open = (key: KeyState, links: number): void => {
        order.add(key);
        present.add(key);
        key.shown = shown(links);
        order.recount(key);
      };
      for (const [at, key] of keys.entries()) if (at % 3 !== 0) open(key, at % 5);
      for (const { at, what, links } of changes) {
        const key = keys[at] as KeyState;
        if (!present.has(key)) open(key, links);
        else if (what === "toggle") {
          present.delete(key);
          order.delete(key);
        } else {
          key.shown = what === "hide" ? null : shown(links, what === "zone" ? "eth0" : undefined);
          order.recount(key);
        }
      }
      const all = [...present].sort(compareKeys);
      expect([...order.from()]).toEqual(all);
      expect(order.size).toBe(all.length);
      expect(order.zoned).toBe(all.filter((key) => key.shown?.zone !== undefined).length);
      const middle = { ep: `n${String(bound >> 1).padStart(4, "0")}`, d: bound % 2 === 0 ? undefined : "c" };
      for (const kind of ["ep", "res"] as const) {
        let before = 0;
        let beforeMiddle = 0;
        for (const key of all) {
          const count = results(kind, key);
          if (count > 0 && before % 7 === 0) expect(order.at(kind, before)).toEqual({ key, before });
          if (count > 1) expect(order.at(kind, before + count - 1)).toEqual({ key, before });
          before += count;
          if (compareKeys(key, middle) < 0) beforeMiddle = before;
        }
        expect(order.at(kind, before)).toBeUndefined();
        expect(order.before(kind, undefined)).toBe(before);
        expect(order.before(kind, middle)).toBe(beforeMiddle);
      }
    }),
    { numRuns: 20 },
  );
});
