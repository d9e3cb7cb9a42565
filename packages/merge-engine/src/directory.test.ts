import { describe, expect, test } from "vitest";
import { createDirectory } from "./directory.js";
import { MergeError } from "./errors.js";
import { directoryOf, registration } from "./testing/directories.js";
import type { Directory } from "./types.js";

describe("bounds and refusals", () => {
  const bad = (more: object) => (directory: Directory) =>
    directory.put("a", { ...registration("/r", "n"), ...more }, 0);

  test.each([
    {
      name: "an unknown source",
      act: (d: Directory) => d.put("x", registration("/r", "n"), 0),
      code: "UNKNOWN_SOURCE",
    },
    {
      name: "a connection of an unknown source",
      act: (d: Directory) => d.setConnected("x", true, 0),
      code: "UNKNOWN_SOURCE",
    },
    { name: "a network-path href", act: bad({ href: "//h/r" }), code: "BAD_REGISTRATION" },
    { name: "a relative href", act: bad({ href: "reg/1" }), code: "BAD_REGISTRATION" },
    { name: "an empty href", act: bad({ href: "" }), code: "BAD_REGISTRATION" },
    { name: "an empty endpoint name", act: bad({ ep: "" }), code: "BAD_REGISTRATION" },
    { name: "an empty base", act: bad({ base: "" }), code: "BAD_REGISTRATION" },
    { name: "a renewal time that is no number", act: bad({ renewedAtMs: Number.NaN }), code: "BAD_REGISTRATION" },
    { name: "an endless renewal time", act: bad({ renewedAtMs: Number.POSITIVE_INFINITY }), code: "BAD_REGISTRATION" },
    { name: "an end that is no number", act: bad({ expiresAtMs: Number.NaN }), code: "BAD_REGISTRATION" },
  ])("$name is refused", ({ act, code }) => {
    const directory = directoryOf("a");
    expect(() => act(directory)).toThrow(expect.objectContaining({ name: "MergeError", code }));
    expect(directory.counts().total).toBe(0);
    expect(directory.nextExpiryMs()).toBeUndefined();
  });

  test("a renewal with a time that is no number is refused and changes nothing", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/1", "n", 5), 5);
    const times = { renewedAtMs: Number.NaN, expiresAtMs: 10 };
    expect(() => directory.renew("a", "/1", times, 6)).toThrow(expect.objectContaining({ code: "BAD_REGISTRATION" }));
    expect(directory.get("a", "/1")?.renewedAtMs).toBe(5);
  });

  test("a full directory refuses new registrations and goes on renewing and replacing old ones", () => {
    const directory = createDirectory({ maxRegistrations: 1 });
    directory.openSource("a", { authority: null });
    directory.put("a", registration("/1", "n"), 0);
    expect(() => directory.put("a", registration("/2", "m"), 0)).toThrow(MergeError);
    expect(() => directory.put("a", registration("/2", "m"), 0)).toThrow(
      expect.objectContaining({ code: "DIRECTORY_FULL" }),
    );
    expect(directory.winner("m", undefined)).toBeUndefined();
    directory.put("a", registration("/1", "n", 5), 5);
    directory.put("a", registration("/1", "other", 6), 6);
    expect(directory.get("a", "/1")).toMatchObject({ ep: "other", renewedAtMs: 6 });
    directory.remove("a", "/1", 7);
    directory.put("a", registration("/2", "m"), 8);
    expect(directory.counts()).toEqual({ total: 1, visible: 1, superseded: 0, stale: 1 });
  });

  test("an end at infinity never comes", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/1", "n", 0, { expiresAtMs: Number.POSITIVE_INFINITY }), 0);
    expect(directory.expire(Number.MAX_SAFE_INTEGER)).toBe(0);
  });

  test("many registrations of one endpoint at one source settle on the one renewed last", () => {
    const directory = directoryOf("a");
    const count = 5000;
    for (let index = 0; index < count; index++) directory.put("a", registration(`/${index}`, "n", index), 0);
    expect(directory.counts()).toMatchObject({ visible: 1, superseded: count - 1 });
    for (let index = count - 1; index > 0; index--) directory.remove("a", `/${index}`, 0);
    expect(directory.winner("n", undefined)?.href).toBe("/0");
  });
});

describe("reading", () => {
  test("sources, hrefs and single registrations", () => {
    const directory = directoryOf("a", "b");
    const one = registration("/1", "n", 0, {
      d: "f",
      attributes: [
        ["et", "x"],
        ["flag", null],
      ],
    });
    directory.put("a", one, 0);
    directory.put("a", registration("/2", "m", 0, { links: [] }), 0);
    expect(directory.sources()).toEqual(["a", "b"]);
    expect([...directory.hrefs("a")]).toEqual(["/1", "/2"]);
    expect([...directory.hrefs("none")]).toEqual([]);
    expect(directory.get("a", "/1")).toEqual({ ...one, source: "a", shownHref: "coap://rd-a/1", orderMs: 0 });
    expect(directory.get("a", "/2")?.links).toEqual([]);
    expect([directory.get("b", "/1"), directory.get("none", "/1")]).toEqual([undefined, undefined]);
    expect([directory.has("a", "/1"), directory.has("b", "/1")]).toEqual([true, false]);
    expect([directory.remove("b", "/1", 0), directory.remove("none", "/1", 0)]).toEqual([false, false]);
    expect(directory.renew("b", "/1", { renewedAtMs: 1, expiresAtMs: 2 }, 0)).toBe(false);
    expect([directory.isConnected("a"), directory.isConnected("none")]).toEqual([true, false]);
    directory.closeSource("none", 0);
  });

  test("a registration that was read does not change any more", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/1", "n", 0), 0);
    const before = directory.get("a", "/1");
    directory.put("a", registration("/1", "n", 5, { links: [], base: "coap://moved" }), 5);
    expect(before).toMatchObject({ base: "coap://n", renewedAtMs: 0, links: [{ target: "coap://n/s" }] });
  });

  test("operators see every record with its state, in the order of lookups, winner first", () => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration("/2", "n", 10), 10);
    directory.put("b", registration("/9", "n", 2000), 2000);
    directory.put("a", registration("/1", "m", 10, { d: "f" }), 10);
    directory.put("a", registration("/3", "m", 10), 10);
    directory.setConnected("b", false, 30);
    const seen = [...directory.inspect()].map(({ registration: { shownHref }, state, stale }) => [
      shownHref,
      state,
      stale,
    ]);
    expect(seen).toEqual([
      ["coap://rd-a/3", "visible", false],
      ["coap://rd-a/1", "visible", false],
      ["coap://rd-b/9", "stale", true],
      ["coap://rd-a/2", "superseded", false],
    ]);
    expect(directory.counts()).toEqual({ visible: 3, superseded: 1, stale: 1, total: 4 });
    expect(directory.counts("a")).toEqual({ visible: 2, superseded: 1, stale: 0, total: 3 });
    expect(directory.counts("none").total).toBe(0);
  });

  test("operators see records that have ended and wait for expire", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/1", "n", 0, { ltMs: 10 }), 100);
    expect([...directory.inspect()].map(({ state }) => state)).toEqual(["superseded"]);
  });

  test("the earliest end is no later than the end of any record", () => {
    const directory = directoryOf("a");
    expect(directory.nextExpiryMs()).toBeUndefined();
    directory.put("a", registration("/1", "n", 0, { ltMs: 500 }), 0);
    directory.put("a", registration("/2", "m", 0, { ltMs: 300 }), 0);
    expect(directory.nextExpiryMs()).toBe(300);
    directory.renew("a", "/1", { renewedAtMs: 0, expiresAtMs: 200 }, 0);
    expect(directory.nextExpiryMs()).toBe(200);
    directory.remove("a", "/1", 0);
    directory.renew("a", "/2", { renewedAtMs: 100, expiresAtMs: 400 }, 100);
    expect(directory.expire(300)).toBe(0);
    expect(directory.nextExpiryMs()).toBe(400);
    expect([directory.expire(399), directory.expire(400)]).toEqual([0, 1]);
  });
});
