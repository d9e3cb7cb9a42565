import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createDirectory } from "./directory.js";
import { registration, targets } from "./testing/directories.js";

function openDirectory() {
  const directory = createDirectory();
  directory.openSource("local", { authority: null });
  directory.openSource("other", { authority: "coap://other" });
  for (const source of ["local", "other"]) directory.setConnected(source, true, 0);
  return directory;
}

describe("draft 4.4.2, what is registered at this node", () => {
  test("LPX-12 is registered here also while a newer registration elsewhere is shown", () => {
    const directory = openDirectory();
    directory.put("local", registration("/reg/1", "m", 0), 0);
    directory.put("other", registration("/reg/9", "m", 5000), 5000);
    const here = (...items: string[]) => targets(directory, "ep", 6000, items, { heldBy: "local" });
    expect(targets(directory, "ep", 6000)).toEqual(["coap://other/reg/9"]);
    expect([here(), here("href=/*"), here("href=/reg/1", "ep=m"), here("ep=x")]).toEqual([
      ["/reg/1"],
      ["/reg/1"],
      ["/reg/1"],
      [],
    ]);
    expect(targets(directory, "res", 6000, ["provenance=/*"], { heldBy: "local" })).toEqual(["coap://m/s"]);
    expect(targets(directory, "ep", 6000, [], { heldBy: "nobody" })).toEqual([]);
  });

  test("LPX-12 LKP-26 does not depend on what other sources hold", () => {
    const step = fc.record({
      source: fc.constantFrom("local", "other"),
      ep: fc.constantFrom("a", "b", "c", "d"),
      what: fc.constantFrom("put", "renew", "remove", "pass"),
      lt: fc.constantFrom(3000, 90_000_000),
      zone: fc.constantFrom(undefined, undefined, "eth0"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const both = openDirectory();
        const alone = openDirectory();
        let nowMs = 0;
        for (const { source, ep, what, lt, zone } of steps) {
          nowMs += 1000;
          const href = `/reg/${ep}`;
          for (const directory of source === "local" ? [both, alone] : [both]) {
            const more = { ltMs: lt, ...(zone === undefined ? {} : { zone }) };
            if (what === "put") directory.put(source, registration(href, ep, nowMs, more), nowMs);
            else if (what === "renew")
              directory.renew(source, href, { renewedAtMs: nowMs, expiresAtMs: nowMs + lt }, nowMs);
            else if (what === "remove") directory.remove(source, href, nowMs);
          }
          for (const kind of ["ep", "res"] as const)
            for (const items of [["href=/*"], ["ep=a"], ["ep=b*"], ["count=2", "page=1"], ["rt=temp"]])
              for (const own of [undefined, "eth0"])
                expect(
                  targets(both, kind, nowMs, items, { heldBy: "local", ...(own === undefined ? {} : { zone: own }) }),
                ).toEqual(targets(alone, kind, nowMs, items, own === undefined ? {} : { zone: own }));
        }
      }),
      { seed: 11, numRuns: 150 },
    );
  });
});
