import fc from "fast-check";
import { expect, test } from "vitest";
import { SlotMarks } from "./slot-marks.js";

const slots = fc.array(fc.oneof(fc.nat(200), fc.constantFrom(0, 31, 32, 63, 199)));

test("they have what was added to both, in order, unless that is too much", () => {
  fc.assert(
    fc.property(slots, slots, fc.nat(20), (one, other, limit) => {
      const marks = new SlotMarks(200);
      for (const slot of one) marks.add(slot);
      const more = new SlotMarks(200);
      for (const slot of other) more.add(slot);
      marks.keepCommon(more);
      const common = [...new Set(one)].filter((slot) => other.includes(slot)).sort((a, b) => a - b);
      for (let slot = 0; slot < 300; slot++) expect(marks.has(slot)).toBe(common.includes(slot));
      expect(marks.slots(200)).toEqual(common);
      expect(marks.slots(limit)).toEqual(common.length > limit ? null : common);
    }),
  );
});
