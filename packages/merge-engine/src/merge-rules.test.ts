import { describe, expect, test } from "vitest";
import { directoryOf, registration, targets } from "./testing/directories.js";

/** Another record of the endpoint, with a link of its own. */
function link(target: string) {
  return { links: [{ target, attributes: [] }] };
}

describe("which of several registrations is shown", () => {
  test("LPX-06 of one endpoint at two RDs the one renewed last is shown, with its links", () => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration("/reg/1", "n", 100, link("coap://n/old")), 100);
    directory.put("b", registration("/reg/9", "n", 200, link("coap://n/new")), 200);
    expect(targets(directory, "ep", 200)).toEqual(["coap://rd-b/reg/9"]);
    expect([...directory.lookup("res", { criteria: [], showProvenance: true }, 200)]).toEqual([
      { target: "coap://n/new", attributes: [["provenance", "coap://rd-b/reg/9"]] },
    ]);
  });

  test("LPX-07 a long lifetime does not beat a newer registration", () => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration("/reg/1", "n", 100, { ltMs: 900_000_000 }), 100);
    directory.put("b", registration("/reg/9", "n", 200, { ltMs: 60_000 }), 200);
    expect(targets(directory, "ep", 200)).toEqual(["coap://rd-b/reg/9"]);
  });

  test("equal times go to the smaller path, whatever the sources are called", () => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration("/reg/9", "n", 100), 100);
    directory.put("b", registration("/reg/2", "n", 100), 100);
    directory.put("a", registration("/reg/1", "n", 100), 100);
    expect(directory.candidates("n", undefined).map(({ shownHref }) => shownHref)).toEqual([
      "coap://rd-a/reg/1",
      "coap://rd-b/reg/2",
      "coap://rd-a/reg/9",
    ]);
    expect(directory.winner("n", undefined)?.href).toBe("/reg/1");
  });

  test("REG-03 LPX-06 with and without sector are different keys; names compare to the code unit", () => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration("/reg/1", "n", 100), 100);
    directory.put("b", registration("/reg/2", "n", 200, { d: "f" }), 200);
    directory.put("b", registration("/reg/3", "N", 200), 200);
    expect(targets(directory, "ep", 200)).toEqual(["coap://rd-b/reg/3", "coap://rd-a/reg/1", "coap://rd-b/reg/2"]);
  });

  test.each([
    { name: "a name that holds the end of another", one: ["a", "b"], other: ["a\u0000001\u0000b", undefined] },
    { name: "a name that holds a whole key", one: ["a", "b"], other: ["1\na\nb", undefined] },
    { name: "a boundary moved", one: ["ab", "c"], other: ["a", "bc"] },
    { name: "line ends in both", one: ["a\n", "b"], other: ["a", "\nb"] },
    { name: "an empty sector", one: ["a", ""], other: ["a", undefined] },
  ] as const)("REG-03 keys do not collide: $name", ({ one, other }) => {
    const directory = directoryOf("a");
    for (const [index, [ep, d]] of [one, other].entries())
      directory.put("a", registration(`/${index}`, ep, 0, d === undefined ? {} : { d }), 0);
    expect(directory.counts()).toMatchObject({ visible: 2, superseded: 0 });
  });

  test("a path that is given to another endpoint takes its old entry away", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/reg/1", "n1", 0), 0);
    directory.put("a", registration("/reg/1", "n2", 10), 10);
    expect([...directory.select({ criteria: [], showProvenance: false }, 10)].map(({ ep }) => ep)).toEqual(["n2"]);
    expect(directory.winner("n1", undefined)).toBeUndefined();
    expect(directory.counts().total).toBe(1);
  });
});

describe("when the winner goes, the loser comes back", () => {
  test.each([
    { name: "removed", go: "remove" },
    { name: "its source closed", go: "close" },
    { name: "ended, before expire", go: "wait" },
    { name: "ended, after expire", go: "expire" },
  ] as const)("LPX-08 $name", ({ go }) => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration("/reg/1", "n", 100), 100);
    directory.put("b", registration("/reg/9", "n", 200, { ltMs: 60_000 }), 200);
    expect(targets(directory, "ep", 60_199)).toEqual(["coap://rd-b/reg/9"]);
    if (go === "remove") directory.remove("b", "/reg/9", 60_200);
    if (go === "close") directory.closeSource("b", 60_200);
    if (go === "expire") directory.expire(60_200);
    expect(targets(directory, "ep", 60_200)).toEqual(["coap://rd-a/reg/1"]);
    expect(targets(directory, "res", 60_200, ["ep=n"])).toEqual(["coap://n/s"]);
  });

  test("LPX-08 a loser that is renewed later wins again", () => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration("/reg/1", "n", 100), 100);
    directory.put("b", registration("/reg/9", "n", 200), 200);
    directory.renew("a", "/reg/1", { renewedAtMs: 300, expiresAtMs: 90_000_300 }, 300);
    expect(targets(directory, "ep", 300)).toEqual(["coap://rd-a/reg/1"]);
  });

  test("LPX-08 a returned registration is found by its own links, not by those of the one that ended", () => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration("/1", "n", 0, link("coap://n/old")), 0);
    directory.put("b", registration("/9", "n", 10, { ...link("coap://n/new"), ltMs: 100 }), 10);
    const found = (nowMs: number, target: string) => targets(directory, "res", nowMs, [`href=${target}`]);
    expect([found(109, "coap://n/old"), found(109, "coap://n/new")]).toEqual([[], ["coap://n/new"]]);
    expect([found(110, "coap://n/old"), found(110, "coap://n/new")]).toEqual([["coap://n/old"], []]);
    directory.expire(110);
    expect([found(110, "coap://n/old"), found(110, "coap://n/new")]).toEqual([["coap://n/old"], []]);
  });

  test("an ended record is passed over for the first that lives, however many have ended", () => {
    const directory = directoryOf("a", "b", "c");
    directory.put("a", registration("/1", "n", 1), 1);
    directory.put("b", registration("/2", "n", 2, { ltMs: 100 }), 2);
    directory.put("c", registration("/3", "n", 3, { ltMs: 50 }), 3);
    expect(targets(directory, "ep", 102)).toEqual(["coap://rd-a/1"]);
    expect(directory.expire(102)).toBe(2);
    expect(directory.counts()).toMatchObject({ visible: 1, superseded: 0 });
  });

  test("what is written with an end that has passed is never shown", () => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration("/1", "n", 0), 1000);
    directory.put("b", registration("/2", "n", 500, { ltMs: 100 }), 1000);
    directory.put("b", registration("/3", "m", 500, { ltMs: 100 }), 1000);
    expect(targets(directory, "ep", 1000)).toEqual(["coap://rd-a/1"]);
    expect(directory.winner("m", undefined)).toBeUndefined();
    expect(directory.candidates("m", undefined)).toEqual([]);
    expect(directory.expire(1000)).toBe(2);
    expect(directory.counts()).toMatchObject({ total: 1, visible: 1 });
  });
});

describe("connections and ends", () => {
  test("LPX-09 LPX-22 records of a lost source stay until they end, one by one", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/reg/1", "n1", 0, { ltMs: 10_000 }), 0);
    directory.put("a", registration("/reg/2", "n2", 0, { ltMs: 20_000, expiry: "assumed" }), 0);
    directory.setConnected("a", false, 1000);
    expect(directory.counts("a").stale).toBe(2);
    expect(targets(directory, "ep", 9_999)).toHaveLength(2);
    expect(targets(directory, "ep", 10_000)).toEqual(["coap://rd-a/reg/2"]);
    expect(targets(directory, "ep", 19_999)).toEqual(["coap://rd-a/reg/2"]);
    expect(targets(directory, "ep", 20_000)).toEqual([]);
  });

  test("LPX-09 an exact record ends although its source is connected", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/reg/1", "n1", 0, { ltMs: 10_000 }), 0);
    expect(targets(directory, "ep", 9_999)).toHaveLength(1);
    expect(targets(directory, "ep", 10_000)).toEqual([]);
  });

  test("LPX-22 an assumed lifetime does not count while the source is connected, and does as soon as it is not", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/reg/2", "n2", 0, { ltMs: 20_000, expiry: "assumed" }), 0);
    expect(directory.expire(30_000)).toBe(0);
    expect(directory.nextExpiryMs()).toBeUndefined();
    expect(targets(directory, "ep", 30_000)).toHaveLength(1);
    directory.setConnected("a", false, 30_000);
    expect(directory.nextExpiryMs()).toBe(20_000);
    expect(targets(directory, "ep", 30_000)).toEqual([]);
    expect(directory.expire(30_000)).toBe(1);
  });

  test("a source that is back in time makes its records live on", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/reg/2", "n2", 0, { ltMs: 20_000, expiry: "assumed" }), 0);
    directory.setConnected("a", false, 10_000);
    directory.setConnected("a", true, 19_999);
    directory.expire(50_000);
    expect(targets(directory, "ep", 50_000)).toHaveLength(1);
  });

  test("what ended while its source was away does not come back with the connection", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/reg/2", "n2", 0, { ltMs: 20_000, expiry: "assumed" }), 0);
    directory.setConnected("a", false, 10_000);
    directory.setConnected("a", true, 20_000);
    expect(targets(directory, "ep", 20_000)).toEqual([]);
    expect(directory.counts().total).toBe(0);
  });

  test("LPX-22 an overdue record that is renewed gets a new end", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/1", "n", 0, { ltMs: 100, expiry: "assumed" }), 0);
    directory.expire(200);
    expect(directory.renew("a", "/1", { renewedAtMs: 200, expiresAtMs: 300 }, 200)).toBe(true);
    directory.setConnected("a", false, 250);
    expect(targets(directory, "ep", 299)).toHaveLength(1);
    expect(targets(directory, "ep", 300)).toEqual([]);
  });

  test("a record that has ended cannot be renewed, only registered again, whenever expire ran last", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/1", "n", 0, { ltMs: 100 }), 0);
    expect(directory.renew("a", "/1", { renewedAtMs: 100, expiresAtMs: 200 }, 100)).toBe(false);
    expect(directory.has("a", "/1")).toBe(false);
    directory.put("a", registration("/1", "n", 100, { ltMs: 100 }), 100);
    expect(directory.renew("a", "/1", { renewedAtMs: 199, expiresAtMs: 299 }, 199)).toBe(true);
    expect(directory.get("a", "/1")).toMatchObject({ renewedAtMs: 199, expiresAtMs: 299 });
  });

  test("a reopened source keeps its records, under its new address", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/1", "n"), 0);
    directory.openSource("a", { authority: "coap://moved" });
    expect(directory.isConnected("a")).toBe(true);
    expect(targets(directory, "ep", 0, ["href=coap://moved/1"])).toEqual(["coap://moved/1"]);
    expect(targets(directory, "ep", 0, ["href=coap://moved/*"])).toEqual(["coap://moved/1"]);
    expect(targets(directory, "ep", 0, ["href=coap://rd-a/1"])).toEqual([]);
  });
});

describe("one registration by several routes", () => {
  const REMOTE = "coap://rd-c/reg/1";
  const through = (...via: string[]) => (via.length === 0 ? {} : { via });
  const shownFrom = (directory: ReturnType<typeof directoryOf>) => directory.winner("n", undefined)?.source;

  test("it is shown under the URI that it has at its RD, and found by that", () => {
    const directory = directoryOf("a");
    directory.put("a", registration(REMOTE, "n", 100, through("lp-1")), 100);
    directory.put("a", registration("/reg/1", "m", 100), 100);
    expect(targets(directory, "ep", 100)).toEqual(["coap://rd-a/reg/1", REMOTE]);
    const found = (value: string, isPrefix: boolean) =>
      [...directory.lookup("ep", { criteria: [{ name: "href", value, isPrefix }], showProvenance: false }, 100)].map(
        ({ target }) => target,
      );
    expect(found(REMOTE, false)).toEqual([REMOTE]);
    expect(found("coap://rd-c/", true)).toEqual([REMOTE]);
    expect(found("coap://rd-", true)).toHaveLength(2);
    expect(found("/reg/", true)).toEqual([]);
  });

  test("the shortest route is shown, however well each knows the time of the renewal", () => {
    const directory = directoryOf("a", "b", "c");
    directory.put("a", registration(REMOTE, "n", 103, through("lp-1", "lp-2")), 110);
    directory.put("b", registration("/reg/1", "n", 100), 110);
    expect(shownFrom(directory), "another registration that is older").toBe("a");
    directory.put("c", registration(REMOTE, "n", 101, through("lp-3")), 110);
    expect(shownFrom(directory)).toBe("c");
    expect(directory.candidates("n", undefined).map(({ source }) => source)).toEqual(["c", "a", "b"]);
    directory.remove("c", REMOTE, 110);
    expect(shownFrom(directory)).toBe("a");
  });

  test("a newer registration elsewhere wins over every route", () => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration(REMOTE, "n", 100, through("lp-1")), 200);
    directory.put("b", registration("/reg/7", "n", 200), 200);
    expect(targets(directory, "ep", 200)).toEqual(["coap://rd-b/reg/7"]);
  });

  test("a route that ends leaves it to the next one", () => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration(REMOTE, "n", 100, { ...through("lp-1"), expiresAtMs: 150 }), 100);
    directory.put("b", registration(REMOTE, "n", 120, { ...through("lp-2", "lp-3"), expiresAtMs: 900 }), 120);
    expect(shownFrom(directory)).toBe("a");
    directory.expire(150);
    expect(shownFrom(directory)).toBe("b");
  });
});
