import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { openClient, serveDirectory, type TestWorld, textOf } from "@tributary/resource-directory/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const LOOKUPS = [
  "ep",
  "ep?ep=n1",
  "ep?ep=n*",
  "ep?d=f1",
  "ep?rt=t1",
  "ep?count=2&page=1",
  "ep?href=/reg/*",
  "res",
  "res?rt=t1",
  "res?rt=t*&d=f1",
  "res?ep=n2&provenance",
  "res?title=x",
  "res?href=coap://n1.example/t",
] as const;

function setUp() {
  const world = createVirtualWorld() as ReturnType<typeof createVirtualWorld> & TestWorld;
  const served = serveDirectory(world);
  const client = openClient(world);
  const fresh = (lookup: string) => textOf(served.ask("GET", `/rd-lookup/${lookup}`));
  const asked = async (lookup: string) => textOf(await client.request("GET", `/rd-lookup/${lookup}`));
  /** So often that it is remembered, and given again. */
  const remembered = async (lookup: string) => {
    for (let count = 0; count < 3; count++) await asked(lookup);
  };
  return { ...served, world, client, fresh, asked, remembered };
}

const registration = fc.record({
  kind: fc.constant("register" as const),
  ep: fc.constantFrom("n1", "n2", "n3"),
  d: fc.constantFrom("", "&d=f1", "&d=f2"),
  lt: fc.constantFrom(60, 100, 90_000),
  links: fc.constantFrom("", "</t>;rt=t1", "</t>;rt=t2;title=x", "</a>;rt=t1,</b>;rt=t2"),
});
const step = fc.oneof(
  { weight: 4, arbitrary: registration },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("remove" as const), index: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("update" as const), index: fc.nat(20) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(1, 1_000, 59_999, 100_000) }),
  },
);

describe("remembered answers", () => {
  test("are always what the directory would say, whatever happens to it", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const { register, call, world, fresh, asked, remembered, close } = setUp();
        const paths: string[] = [];
        for (const lookup of LOOKUPS) await remembered(lookup);
        for (const one of steps) {
          if (one.kind === "register")
            paths.push(register(`ep=${one.ep}${one.d}&lt=${one.lt}&base=coap://${one.ep}.example`, one.links));
          else if (one.kind === "pass") await world.clock.advance(one.ms);
          else {
            const path = paths[one.index % Math.max(1, paths.length)];
            const method = one.kind === "remove" ? "DELETE" : "POST";
            if (path !== undefined)
              await call(method, `${path}${one.kind === "update" ? "?base=coap://moved.example" : ""}`);
          }
          for (const lookup of LOOKUPS) {
            const answers = [await asked(lookup), await asked(lookup), await asked(lookup)];
            expect({ lookup, answers }).toEqual({ lookup, answers: Array(3).fill(fresh(lookup)) });
          }
        }
        await close();
      }),
      { numRuns: 60 },
    );
  });

  test("end with what concerns them, and with nothing else", async () => {
    const { register, directory, client, remembered, asked, world } = setUp();
    register("ep=n1&d=f1&base=coap://n1.example", "</t>;rt=t1");
    register("ep=n2&d=f2&base=coap://n2.example", "</t>;rt=t2");
    for (const lookup of ["ep?ep=n1", "res?rt=t2"]) await remembered(lookup);
    let looked = 0;
    const original = directory.lookup.bind(directory);
    directory.lookup = (...args) => {
      looked++;
      return original(...args);
    };
    register("ep=n3&d=f3&base=coap://n3.example", "</t>;rt=t3");
    await asked("ep?ep=n1");
    await asked("res?rt=t2");
    expect(looked, "another endpoint of another type concerns neither").toBe(0);
    register("ep=n4&base=coap://n4.example", "</t>;rt=t2");
    await asked("ep?ep=n1");
    expect(looked).toBe(0);
    expect(await asked("res?rt=t2")).toContain("n4.example");
    expect(looked).toBe(1);
    await world.clock.settle();
    await client.endpoint.close();
  });

  test("a registration that ends is not shown for a millisecond longer", async () => {
    const { register, world, remembered, asked, fresh } = setUp();
    register("ep=n1&lt=60&base=coap://n1.example");
    await remembered("ep?ep=n1");
    await world.clock.advance(59_990 - world.clock.nowMs());
    expect(await asked("ep?ep=n1")).toContain("n1");
    await world.clock.advance(60_000 - world.clock.nowMs());
    expect(fresh("ep?ep=n1")).toBe("");
    expect(await asked("ep?ep=n1")).toBe("");
  });

  test("ages grow, so answers with ages are never remembered", async () => {
    const { register, world, asked, fresh } = setUp();
    register("ep=n1&base=coap://n1.example");
    for (let count = 0; count < 4; count++) {
      await world.clock.advance(1000);
      expect(await asked("ep?lt-age")).toBe(fresh("ep?lt-age"));
    }
  });
});
