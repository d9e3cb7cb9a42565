import fc from "fast-check";
import { expect, test } from "vitest";
import { EndpointTable } from "./endpoint-table.js";

test("it behaves as a map from pairs", () => {
  const ep = fc.constantFrom("a", "b", "a\nx");
  const d = fc.constantFrom(undefined, "", "x", "b");
  const step = fc.tuple(fc.constantFrom("set" as const, "delete" as const), ep, d, fc.nat(9));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = new EndpointTable<{ readonly d: string | undefined; readonly n: number }>((value) => value.d);
      const model = new Map<string, number>();
      for (const [what, name, sector, n] of steps) {
        const key = JSON.stringify([name, sector ?? null]);
        if (what === "set") {
          table.set(name, { d: sector, n });
          model.set(key, n);
        } else {
          table.delete(name, sector);
          model.delete(key);
        }
        for (const one of ["a", "b", "a\nx"]) {
          for (const other of [undefined, "", "x", "b"])
            expect(table.get(one, other)?.n).toBe(model.get(JSON.stringify([one, other ?? null])));
        }
      }
    }),
  );
});
