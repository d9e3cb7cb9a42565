import { describe, expect, test } from "vitest";
import { directoryOf, registration, targets } from "./testing/directories.js";
import type { Directory, SourceChange, VisibleChange } from "./types.js";

function record(directory: Directory) {
  const visible: VisibleChange[] = [];
  const source: SourceChange[] = [];
  directory.on("visible", (change) => visible.push(change));
  directory.on("source", (change) => source.push(change));
  return { visible, source };
}

const brief = ({ cause, before, after }: VisibleChange) => [cause, before?.shownHref, after?.shownHref];

describe("changes of what is shown", () => {
  test("LPX-06 LPX-08 every eviction, return and end has its cause", () => {
    const directory = directoryOf("a", "b");
    const { visible } = record(directory);
    directory.put("a", registration("/1", "n", 100), 100);
    directory.put("b", registration("/9", "n", 200, { ltMs: 1000 }), 200);
    directory.renew("b", "/9", { renewedAtMs: 300, expiresAtMs: 1300 }, 300);
    directory.put("b", registration("/9", "n", 400, { ltMs: 900, links: [] }), 400);
    directory.expire(1300);
    directory.remove("a", "/1", 1400);
    expect(visible.map(brief)).toEqual([
      ["registered", undefined, "coap://rd-a/1"],
      ["superseded", "coap://rd-a/1", "coap://rd-b/9"],
      ["renewed", "coap://rd-b/9", "coap://rd-b/9"],
      ["updated", "coap://rd-b/9", "coap://rd-b/9"],
      ["returned", "coap://rd-b/9", "coap://rd-a/1"],
      ["removed", "coap://rd-a/1", undefined],
    ]);
    expect(visible[3]).toMatchObject({
      ep: "n",
      before: { links: [{ target: "coap://n/s" }] },
      after: { links: [] },
      atMs: 400,
    });
  });

  test.each([
    { name: "a loser that is added", act: (d: Directory) => d.put("b", registration("/9", "n", 50), 200) },
    {
      name: "a loser that is renewed",
      act: (d: Directory) => d.renew("b", "/8", { renewedAtMs: 90, expiresAtMs: 1e6 }, 200),
    },
    {
      name: "a loser that is updated",
      act: (d: Directory) => d.put("b", registration("/8", "n", 10, { links: [] }), 200),
    },
    { name: "a loser that is removed", act: (d: Directory) => d.remove("b", "/8", 200) },
    { name: "a lookup", act: (d: Directory) => targets(d, "ep", 1e9) },
  ])("no event for $name", ({ act }) => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration("/1", "n", 100), 100);
    directory.put("b", registration("/8", "n", 10), 100);
    const { visible } = record(directory);
    act(directory);
    expect(visible).toEqual([]);
  });

  test("LPX-08 each way for a winner to go has its cause", () => {
    const go = (act: (directory: Directory) => void) => {
      const directory = directoryOf("a", "b");
      directory.put("a", registration("/1", "n", 100), 100);
      const { visible } = record(directory);
      act(directory);
      return visible.map(brief);
    };
    expect(go((d) => d.remove("a", "/1", 200))).toEqual([["removed", "coap://rd-a/1", undefined]]);
    expect(go((d) => d.remove("a", "/1", 200, "expired"))).toEqual([["expired", "coap://rd-a/1", undefined]]);
    expect(go((d) => d.expire(90_000_100))).toEqual([["expired", "coap://rd-a/1", undefined]]);
    expect(go((d) => d.closeSource("a", 200))).toEqual([["source-closed", "coap://rd-a/1", undefined]]);
    expect(go((d) => d.renew("a", "/1", { renewedAtMs: 100, expiresAtMs: 150 }, 200))).toEqual([
      ["expired", "coap://rd-a/1", undefined],
    ]);
    expect(go((d) => d.put("a", registration("/1", "m", 200), 200))).toEqual([
      ["removed", "coap://rd-a/1", undefined],
      ["registered", undefined, "coap://rd-a/1"],
    ]);
  });

  test("a winner that turns out older is superseded by the one that is younger", () => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration("/1", "n", 100), 100);
    directory.put("b", registration("/9", "n", 200), 200);
    const { visible } = record(directory);
    directory.renew("b", "/9", { renewedAtMs: 50, expiresAtMs: 1e9 }, 300);
    expect(visible.map(brief)).toEqual([["superseded", "coap://rd-b/9", "coap://rd-a/1"]]);
  });

  test("before the event of a change come those that time has brought, however late expire is", () => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration("/1", "n", 0), 0);
    directory.put("b", registration("/9", "n", 10, { ltMs: 100 }), 10);
    const { visible, source } = record(directory);
    directory.renew("a", "/1", { renewedAtMs: 500, expiresAtMs: 1e9 }, 500);
    expect(visible.map(brief)).toEqual([
      ["returned", "coap://rd-b/9", "coap://rd-a/1"],
      ["renewed", "coap://rd-a/1", "coap://rd-a/1"],
    ]);
    expect(source.map(({ href, kind, cause }) => [href, kind, cause])).toEqual([
      ["/9", "removed", "expired"],
      ["/1", "renewed", "renewed"],
    ]);
    expect(directory.expire(500)).toBe(0);
  });
});

describe("changes of what a source holds", () => {
  test("it says which half of a registration changed, and nothing when nothing did", () => {
    const directory = directoryOf("a");
    const { source } = record(directory);
    const one = registration("/1", "n", 100);
    const later = { renewedAtMs: 200, expiresAtMs: 300_000 };
    directory.put("a", one, 100);
    directory.put("a", { ...one, ...later }, 200);
    directory.put("a", { ...one, ...later, links: one.links.map((link) => ({ ...link })) }, 200);
    expect(directory.renew("a", "/1", later, 200)).toBe(true);
    directory.put("a", { ...one, ...later, links: [] }, 300);
    directory.put("a", { ...one, ...later, links: [], base: "coap://other" }, 400);
    directory.put("a", { ...one, ...later, attributes: [["et", "x"]] }, 500);
    expect(
      source.map(({ kind, cause, endpointChanged, linksChanged }) => [kind, cause, endpointChanged, linksChanged]),
    ).toEqual([
      ["added", "registered", true, true],
      ["renewed", "renewed", false, false],
      ["replaced", "updated", false, true],
      ["replaced", "updated", true, false],
      ["replaced", "updated", true, true],
    ]);
  });

  test.each([
    {
      name: "a link more",
      links: [
        { target: "coap://n/s", attributes: [] },
        { target: "coap://n/t", attributes: [] },
      ],
    },
    { name: "no value instead of an empty one", links: [{ target: "coap://n/s", attributes: [["rt", ""]] as const }] },
    {
      name: "attributes in another order",
      links: [
        {
          target: "coap://n/s",
          attributes: [
            ["b", "1"],
            ["a", "1"],
          ] as const,
        },
      ],
    },
    {
      name: "an attribute that moved to the next link",
      links: [
        { target: "coap://n/s", attributes: [["x", "1"]] as const },
        { target: "coap://n/t", attributes: [] },
      ],
    },
  ])("LKP-08 $name is a change", ({ links }) => {
    const directory = directoryOf("a");
    const variants = [
      [{ target: "coap://n/s", attributes: [] }],
      [{ target: "coap://n/s", attributes: [["rt", null] as const] }],
      [
        {
          target: "coap://n/s",
          attributes: [
            ["a", "1"],
            ["b", "1"],
          ] as const,
        },
      ],
      [
        { target: "coap://n/s", attributes: [] },
        { target: "coap://n/t", attributes: [["x", "1"]] as const },
      ],
    ];
    for (const before of variants) {
      directory.put("a", registration("/1", "n", 0, { links: before }), 0);
      const { source } = record(directory);
      directory.put("a", registration("/1", "n", 0, { links }), 0);
      expect(source).toMatchObject([{ kind: "replaced", linksChanged: true, registration: { links } }]);
    }
  });

  test("there are events for what is not shown, too", () => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration("/1", "n", 100), 100);
    const { source } = record(directory);
    directory.put("b", registration("/9", "n", 50), 100);
    expect(source).toMatchObject([
      { source: "b", href: "/9", kind: "added", registration: { shownHref: "coap://rd-b/9" } },
    ]);
  });

  test("the registration of an event is complete when it is spread or written as JSON", () => {
    const directory = directoryOf("a");
    const { source } = record(directory);
    const one = registration("/1", "n", 0, { d: "f", zone: "eth0", attributes: [["et", "x"]] });
    directory.put("a", one, 0);
    const reported = source[0]?.registration as object;
    expect({ ...reported }).toEqual({ ...one, source: "a", shownHref: "coap://rd-a/1", orderMs: 0 });
    expect(JSON.parse(JSON.stringify(reported))).toEqual({
      ...one,
      source: "a",
      shownHref: "coap://rd-a/1",
      orderMs: 0,
    });
  });
});

describe("listeners", () => {
  test("a listener sees the change done", () => {
    const directory = directoryOf("a");
    const seen: number[] = [];
    directory.on("visible", () => seen.push(targets(directory, "ep", 0).length));
    directory.on("source", () => seen.push(directory.counts().visible));
    directory.put("a", registration("/1", "n"), 0);
    expect(seen).toEqual([1, 1]);
  });

  test("one event for each change of a connection", () => {
    const directory = directoryOf("a");
    const reported: unknown[] = [];
    directory.on("connection", (...args) => reported.push(args));
    directory.setConnected("a", true, 1);
    directory.setConnected("a", false, 2);
    directory.setConnected("a", false, 3);
    expect(reported).toEqual([["a", false]]);
  });

  test("one that unsubscribed is not called any more, not even for the event under way", () => {
    const directory = directoryOf("a");
    let calls = 0;
    const stop: (() => void)[] = [];
    directory.on("source", () => stop[0]?.());
    stop.push(directory.on("source", () => calls++));
    directory.put("a", registration("/1", "n"), 0);
    directory.put("a", registration("/2", "m"), 0);
    expect(calls).toBe(0);
  });

  test("one that throws keeps the event from no other, and the change stands", () => {
    const directory = directoryOf("a");
    const failure = new Error("listener");
    directory.on("source", () => {
      throw failure;
    });
    const { visible, source } = record(directory);
    expect(() => directory.put("a", registration("/1", "n", 0, { ltMs: 10 }), 0)).toThrow(failure);
    expect(() => directory.put("a", registration("/2", "m", 0, { ltMs: 10 }), 0)).toThrow(failure);
    expect(directory.counts()).toMatchObject({ total: 2, visible: 2 });
    expect(() => directory.expire(10)).toThrow(failure);
    expect(directory.counts()).toMatchObject({ total: 0, visible: 0 });
    expect([source.length, visible.length]).toEqual([4, 4]);
    expect(directory.expire(11)).toBe(0);
  });

  test("the event of a change that a listener makes comes after the one that it is listening to, for everyone", () => {
    const directory = directoryOf("a", "b");
    directory.on("visible", ({ after }) => {
      if (after?.href === "/1") directory.put("b", registration("/2", "n", 10), 10);
      if (after?.href === "/2") directory.remove("a", "/1", 20);
    });
    const { visible, source } = record(directory);
    directory.put("a", registration("/1", "n", 0), 0);
    expect(visible.map(brief)).toEqual([
      ["registered", undefined, "coap://rd-a/1"],
      ["superseded", "coap://rd-a/1", "coap://rd-b/2"],
    ]);
    expect(source.map(({ kind, href }) => [kind, href])).toEqual([
      ["added", "/1"],
      ["added", "/2"],
      ["removed", "/1"],
    ]);
  });

  test("a listener that writes to a source that is being closed gets an error, and nothing is left behind", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/1", "n"), 0);
    directory.put("a", registration("/2", "m"), 0);
    directory.on("source", ({ registration: gone }) => directory.put("a", gone, 1));
    expect(() => directory.closeSource("a", 1)).toThrow(expect.objectContaining({ code: "UNKNOWN_SOURCE" }));
    expect(directory.sources()).toEqual([]);
    expect(directory.counts()).toEqual({ visible: 0, superseded: 0, stale: 0, total: 0 });
    expect(targets(directory, "ep", 1)).toEqual([]);
  });

  test("a listener that puts back what expired does not keep expire from ending", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/1", "n", 0, { ltMs: 10 }), 0);
    directory.on("source", ({ kind, registration: gone }) => {
      if (kind === "removed") directory.put("a", gone, 10);
    });
    expect(directory.expire(10)).toBe(1);
    expect(targets(directory, "ep", 10)).toEqual([]);
  });

  test.each([
    { name: "expire", act: (d: Directory) => d.expire(10) },
    { name: "closeSource", act: (d: Directory) => d.closeSource("a", 5) },
  ])("a listener that removes what $name is about to remove has it removed once", ({ act }) => {
    const directory = directoryOf("a", "b");
    for (const path of ["/1", "/2", "/3"]) directory.put("a", registration(path, path, 0, { ltMs: 10 }), 0);
    directory.put("b", registration("/9", "/3", 0), 0);
    const { source } = record(directory);
    directory.on("source", () => {
      for (const path of ["/1", "/2", "/3"]) directory.remove("a", path, 5);
      directory.expire(10);
    });
    act(directory);
    expect(source.map(({ href }) => href).sort()).toEqual(["/1", "/2", "/3"]);
    expect(directory.counts("a").total).toBe(0);
    expect(directory.counts()).toMatchObject({ total: 1, visible: 1 });
    expect(targets(directory, "ep", 10)).toEqual(["coap://rd-b/9"]);
  });

  test("a listener that removes what expire was about to look at again leaves no trace of it", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/1", "n", 0, { ltMs: 10 }), 0);
    directory.put("a", registration("/2", "m", 0, { ltMs: 10 }), 0);
    directory.renew("a", "/2", { renewedAtMs: 5, expiresAtMs: 15 }, 5);
    directory.on("source", () => directory.remove("a", "/2", 10));
    expect(directory.expire(10)).toBe(1);
    expect(directory.nextExpiryMs()).toBeUndefined();
  });
});
