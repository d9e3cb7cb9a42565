import { type Criterion, matchesValue } from "@tributary/link-model";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compareKeys } from "../records/total-order.js";
import { AttributeIndex } from "./attribute-index.js";
import { isEmptyRange, nameRange } from "./name-range.js";

const name = fc.constantFrom(
  "",
  "a",
  "aa",
  "ab",
  "a\u0000",
  "b",
  "\uffff",
  "a\uffff",
  "a\uffff\uffff",
  "aé",
  "🌡",
  "ab🌡",
);
const criterion: fc.Arbitrary<Criterion> = fc.record({
  name: fc.constantFrom("ep", "ep", "ep", "d"),
  value: name,
  isPrefix: fc.boolean(),
});

test("exactly the keys in the range meet the criteria that it covers", () => {
  fc.assert(
    fc.property(fc.array(criterion, { maxLength: 3 }), name, fc.option(name, { nil: undefined }), (criteria, ep, d) => {
      const { start, end, covers } = nameRange(criteria, []);
      expect(covers).toEqual(criteria.filter((one) => one.name === "ep"));
      const key = { ep, d };
      const isInside =
        (start === undefined || compareKeys(start, key) <= 0) && (end === undefined || compareKeys(key, end) < 0);
      const isMet = covers.every((one) => matchesValue(one, ep));
      expect(isInside).toBe(isMet);
      if (isEmptyRange({ start, end, covers })) expect(isMet).toBe(false);
    }),
    { numRuns: 2000 },
  );
});

test("what an attribute called ep may meet does not limit the range", () => {
  const index = new AttributeIndex();
  index.change(1, null, ["ep", "abc", "rt", "x"]);
  const prefix = { name: "ep", value: "ab", isPrefix: true };
  const exact = { name: "ep", value: "abd", isPrefix: false };
  expect(nameRange([prefix, exact], [index]).covers).toEqual([exact]);
  expect(nameRange([prefix], [index])).toMatchObject({ start: undefined, end: undefined });
  index.change(1, ["ep", "abc", "rt", "x"], null);
  expect(nameRange([prefix, exact], [index]).covers).toEqual([prefix, exact]);
});
