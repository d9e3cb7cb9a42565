import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isSameLinks, packLinks, unpackLinks } from "./packed-links.js";
import { StringPool } from "./string-pool.js";

describe("packed links", () => {
  const value = fc.option(fc.string({ unit: "binary", maxLength: 20 }));
  const links = fc.array(
    fc.record({
      target: fc.string({ maxLength: 20 }),
      attributes: fc.array(fc.tuple(fc.string({ maxLength: 4 }), value), { maxLength: 4 }),
    }),
    { maxLength: 4 },
  );

  test("LKP-08 links come back as they were packed, and are the same as those alone", () => {
    fc.assert(
      fc.property(links, links, (one, other) => {
        const packed = packLinks(one, new StringPool());
        expect(unpackLinks(packed)).toEqual(one);
        expect(isSameLinks(packed, one)).toBe(true);
        expect(isSameLinks(packed, other)).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
    );
  });
});
