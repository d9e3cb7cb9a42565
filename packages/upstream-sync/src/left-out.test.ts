import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AskedLosses } from "./ask/asked-losses.js";
import { ASKED_LOSS_MS, MAX_LEFT_OUT_RECORDS } from "./constants.js";
import { LeftOut, type LeftOutCause, type Losses } from "./left-out.js";

function setUp() {
  const said: string[] = [];
  const leftOut = new LeftOut({
    appeared: (cause, { count, example }) => said.push(`+${cause} ${count} ${example}`),
    cleared: (cause) => said.push(`-${cause}`),
  });
  return { leftOut, said, counts: () => Object.fromEntries(leftOut.counts()) };
}

const losses = (counts: Partial<Record<LeftOutCause, number>>): Losses =>
  new Map(Object.entries(counts).map(([cause, count]) => [cause as LeftOutCause, { count, example: `an ${cause}` }]));

describe("what is left out of an upstream", () => {
  test("it is current, is said once per cause until it is over, and its total only grows", () => {
    const { leftOut, said, counts } = setUp();
    leftOut.replace("document ep", losses({ malformed: 2 }));
    leftOut.replace("document ep", losses({ malformed: 3, "no-name": 1 }));
    leftOut.record("records", "/reg/1", "directory-full", "no room for /reg/1");
    leftOut.record("records", "/reg/2", "directory-full", "no room for /reg/2");
    expect(counts()).toEqual({ malformed: 3, "no-name": 1, "directory-full": 2 });
    leftOut.replace("document ep", losses({ malformed: 1 }));
    leftOut.taken("records", "/reg/1");
    leftOut.taken("records", "/reg/1");
    expect(counts()).toEqual({ malformed: 1, "directory-full": 1 });
    leftOut.replace("document ep", new Map());
    leftOut.clear("records");
    expect(leftOut.isEmpty).toBe(true);
    expect(said).toEqual([
      "+malformed 2 an malformed",
      "+no-name 1 an no-name",
      "+directory-full 1 no room for /reg/1",
      "-no-name",
      "-malformed",
      "-directory-full",
    ]);
    expect(Object.fromEntries(leftOut.total)).toEqual({
      "upstream-malformed": 3,
      "upstream-no-name": 1,
      "upstream-directory-full": 2,
    });
  });

  test("a record that is left out for another cause than before counts once", () => {
    const { leftOut, counts } = setUp();
    leftOut.record("records", "/reg/1", "directory-full", "");
    leftOut.record("records", "/reg/1", "memory", "");
    expect(counts()).toEqual({ memory: 1 });
  });

  test("records beyond the bound are counted until their part is read again", () => {
    const { leftOut, counts } = setUp();
    for (let index = 0; index < MAX_LEFT_OUT_RECORDS + 10; index++) leftOut.record("r", `/${index}`, "memory", "");
    expect(counts()).toEqual({ memory: MAX_LEFT_OUT_RECORDS + 10 });
    leftOut.taken("r", `/${MAX_LEFT_OUT_RECORDS}`);
    expect(counts()).toEqual({ memory: MAX_LEFT_OUT_RECORDS + 9 });
    leftOut.clear("r");
    expect(counts()).toEqual({});
  });

  test("counts are the sum of the parts, whatever the order of events", () => {
    const cause = fc.constantFrom<LeftOutCause>("malformed", "no-name", "memory");
    const part = fc.constantFrom("a", "b");
    const event = fc.oneof(
      fc.record({ kind: fc.constant("replace" as const), part, cause, count: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ kind: fc.constant("record" as const), part, cause, key: fc.constantFrom("x", "y") }),
      fc.record({ kind: fc.constant("taken" as const), part, key: fc.constantFrom("x", "y") }),
      fc.record({ kind: fc.constant("clear" as const), part }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        const { leftOut, said, counts } = setUp();
        const whole = new Map<string, Partial<Record<LeftOutCause, number>>>();
        const single = new Map<string, LeftOutCause>();
        for (const one of events) {
          if (one.kind === "replace") {
            const counted = one.count === 0 ? {} : { [one.cause]: one.count };
            leftOut.replace(one.part, losses(counted));
            whole.set(one.part, counted);
          } else if (one.kind === "record") {
            leftOut.record(one.part, one.key, one.cause, "");
            single.set(`${one.part}${one.key}`, one.cause);
          } else if (one.kind === "taken") {
            leftOut.taken(one.part, one.key);
            single.delete(`${one.part}${one.key}`);
          } else {
            leftOut.clear(one.part);
            whole.delete(one.part);
            for (const key of ["x", "y"]) single.delete(`${one.part}${key}`);
          }
        }
        const want: Record<string, number> = {};
        for (const counted of whole.values())
          for (const [name, count] of Object.entries(counted)) want[name] = (want[name] ?? 0) + count;
        for (const name of single.values()) want[name] = (want[name] ?? 0) + 1;
        expect(counts()).toEqual(want);
        const shown = new Set<string>();
        for (const line of said) {
          const name = (line.split(" ")[0] as string).slice(1);
          expect(shown.has(name)).toBe(line.startsWith("-"));
          if (line.startsWith("+")) shown.add(name);
          else shown.delete(name);
        }
        expect([...shown].sort()).toEqual(Object.keys(want).sort());
      }),
    );
  });
});

describe("what is left out of answers of an upstream that is asked", () => {
  test("several lookups may miss the same: the largest loss counts, until all of it was seen whole, or for a while", () => {
    const { leftOut, counts } = setUp();
    const asked = new AskedLosses(leftOut);
    asked.note("ep", ["d=f1"], losses({ malformed: 1 }), 0);
    asked.note("ep", [], losses({ malformed: 2 }), 0);
    asked.note("res", ["rt=t"], losses({ malformed: 1 }), 0);
    expect(counts()).toEqual({ malformed: 3 });
    asked.note("res", ["rt=t"], new Map(), 1000);
    expect(counts()).toEqual({ malformed: 2 });
    asked.note("ep", ["lt-age"], new Map(), 2000);
    expect(counts()).toEqual({});
    asked.note("ep", ["d=f1"], losses({ "no-name": 1 }), 3000);
    asked.expire(3000 + ASKED_LOSS_MS - 1);
    expect(counts()).toEqual({ "no-name": 1 });
    asked.expire(3000 + ASKED_LOSS_MS);
    expect(counts()).toEqual({});
  });
});
