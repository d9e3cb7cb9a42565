import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bodyTag, isSameTag } from "./body-hash.js";

const tag = (text: string, seed = 1) => Buffer.from(bodyTag(Buffer.from(text), seed)).toString("hex");

describe("entity tags of bodies", () => {
  test("are eight bytes and depend on body and seed alone", () => {
    expect(bodyTag(new Uint8Array(0), 0)).toHaveLength(8);
    expect(tag("</x>")).toBe(tag("</x>"));
    expect(tag("</x>", 1)).not.toBe(tag("</x>", 2));
  });

  test("differ for bodies that differ a little", () => {
    const bodies = ["", "a", "b", "ab", "ba", "aa", "\0", "\0\0", "</a>,</b>", "</b>,</a>"];
    for (let at = 0; at < 20_000; at++) bodies.push(`</reg/${at}>;ep="e${at}"`);
    expect(new Set(bodies.map((body) => tag(body))).size).toBe(bodies.length);
  });

  test("differ for any two different bodies", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40 }), (one, other) => {
        const isSame = Buffer.compare(one, other) === 0;
        expect(isSameTag(bodyTag(one, 7), bodyTag(other, 7))).toBe(isSame);
      }),
    );
  });
});
