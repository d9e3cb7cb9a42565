import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatVersion, parseVersion, versionFromETag, versionToETag } from "./version.js";

const versions = fc.record({
  epoch: fc.integer({ min: 0, max: 2 ** 24 - 1 }),
  counter: fc.integer({ min: 0, max: 2 ** 40 - 1 }),
});

describe("a version", () => {
  test("survives its text and its entity tag", () => {
    fc.assert(
      fc.property(versions, (version) => {
        expect(parseVersion(formatVersion(version))).toEqual(version);
        expect(versionFromETag(versionToETag(version))).toEqual(version);
      }),
    );
  });

  test.each(["", "1", "1-", "-1", "1-1-1", "G-1", "1000000-1x", 7, null])("%j is not one", (text) => {
    expect(parseVersion(text)).toBeNull();
  });

  test("out of range is refused", () => {
    expect(() => versionToETag({ epoch: 2 ** 24, counter: 0 })).toThrow(/not a version/);
    expect(() => versionToETag({ epoch: 0, counter: -1 })).toThrow(/not a version/);
  });
});
