import { DEFAULT_RECORD_LIMITS } from "@tributary/merge-engine";
import { describe, expect, test } from "vitest";
import { MAX_PATCH_BYTES, MAX_SHARED_PATCH_BYTES } from "./constants.js";
import { parseFeedPatch } from "./feed-operations.js";
import { readClock } from "./reader/feed-clock.js";
import { createFeedReader } from "./reader/feed-reader.js";
import type { CopyChange, FeedKind } from "./types.js";

const ENTRY = "/registrations/~1reg~11";
const nothing = { get: () => undefined, hrefs: () => [] };

function fresh(kind: FeedKind, entries: unknown, version = "a1-1"): string {
  const collection = kind === "ep" ? "registrations" : "links";
  return JSON.stringify([{ op: "replace", path: "", value: { version, complete: true, [collection]: entries } }]);
}

function on(operations: readonly unknown[]): string {
  return JSON.stringify([
    { op: "test", path: "/version", value: "a1-1" },
    ...operations,
    { op: "replace", path: "/version", value: "a1-2" },
  ]);
}

/** A reader that holds one registration, and the replica that its changes make. */
function holdingReader() {
  const reader = createFeedReader({ assumedLifetimeMs: 90_000_000 });
  const replica = new Map<string, Extract<CopyChange, { kind: "put" }>["registration"]>();
  const held = { get: (href: string) => replica.get(href), hrefs: () => replica.keys() };
  const apply = (kind: FeedKind, patch: string, atMs = 100_000) => {
    const outcome = reader.apply(kind, patch, atMs, held);
    for (const change of outcome.kind === "applied" ? outcome.changes : [])
      if (change.kind === "put") replica.set(change.registration.href, change.registration);
    return outcome;
  };
  const entry = { ep: "one", base: "coap://h", lt: 100, "lt-age": 0, et: ["a", "b"] };
  apply("ep", fresh("ep", { "/reg/1": entry }));
  apply("res", fresh("res", { "/reg/1": [{ href: "coap://h/a", rt: "t" }] }));
  expect(replica.size).toBe(1);
  return { reader, replica, apply, entry };
}

describe("only what the protocol provides for is applied", () => {
  test.each([
    { name: "a path through the constructor", ops: [{ op: "replace", path: `${ENTRY}/constructor/keys`, value: 1 }] },
    {
      name: "moving the constructor into the document",
      ops: [
        { op: "move", from: `${ENTRY}/constructor`, path: "/registrations/~1reg~12" },
        { op: "add", path: "/registrations/~1reg~12/prototype/get", value: "polluted" },
      ],
    },
    { name: "a path through __proto__", ops: [{ op: "add", path: `${ENTRY}/__proto__/polluted`, value: 1 }] },
    { name: "the prototype of the collection", ops: [{ op: "add", path: "/registrations/__proto__/x", value: 1 }] },
    { name: "the prototype of the document", ops: [{ op: "add", path: "/__proto__/polluted", value: 1 }] },
    { name: "copy", ops: [{ op: "copy", from: ENTRY, path: `${ENTRY}/a` }] },
    { name: "copy of whole entries", ops: [{ op: "copy", from: ENTRY, path: "/registrations/~1reg~12" }] },
    { name: "move of whole entries", ops: [{ op: "move", from: ENTRY, path: "/registrations/~1reg~12" }] },
    { name: "an attribute of an entry", ops: [{ op: "replace", path: `${ENTRY}/ep`, value: "other" }] },
    { name: "an age below an age", ops: [{ op: "add", path: `${ENTRY}/lt-age/x`, value: 1 }] },
    { name: "the whole collection", ops: [{ op: "replace", path: "/registrations", value: {} }] },
    { name: "the whole document later on", ops: [{ op: "replace", path: "", value: {} }] },
    { name: "another member of the document", ops: [{ op: "add", path: "/toString", value: 1 }] },
    { name: "a path without its slash", ops: [{ op: "add", path: "version", value: 1 }] },
    { name: "an operation of the library", ops: [{ op: "_get", path: "/version" }] },
    { name: "an operation with the name of a method", ops: [{ op: "toString", path: "/version", value: 1 }] },
  ])("$name: refused before anything is touched", ({ ops }) => {
    const { reader, replica, apply } = holdingReader();
    const before = structuredClone([...replica]);
    const globals = { keys: Object.keys, prototype: Object.getOwnPropertyNames(Object.prototype).join() };
    expect(apply("ep", on(ops)).kind).toBe("malformed");
    expect([...replica]).toEqual(before);
    expect(reader.version("ep")).toEqual({ epoch: 0xa1, counter: 1 });
    expect(Object.keys).toBe(globals.keys);
    expect(Object.getOwnPropertyNames(Object.prototype).join()).toBe(globals.prototype);
  });

  test.each([
    { name: "test of a whole entry", ops: (entry: object) => [{ op: "test", path: ENTRY, value: entry }] },
    { name: "test of what completes the document", ops: () => [{ op: "test", path: "/complete", value: true }] },
    { name: "replace of a whole entry", ops: (entry: object) => [{ op: "replace", path: ENTRY, value: entry }] },
    {
      name: "add of null, then remove",
      ops: () => [
        { op: "add", path: `${ENTRY}x`, value: null },
        { op: "remove", path: `${ENTRY}x` },
      ],
    },
    { name: "add of an age", ops: () => [{ op: "add", path: `${ENTRY}/lt-age`, value: 1 }] },
    {
      name: "members of the document",
      ops: () => [
        { op: "add", path: "/clock", value: "1-1" },
        { op: "remove", path: "/clock" },
      ],
    },
  ])("$name: applied", ({ ops }) => {
    const { apply, entry } = holdingReader();
    expect(apply("ep", on(ops(entry))).kind).toBe("applied");
  });

  test.each([
    { name: "test of another entry", op: { op: "test", path: ENTRY, value: { ep: "two" } } },
    { name: "test against what objects inherit", op: { op: "test", path: "/registrations/toString", value: {} } },
    { name: "replacement of what is not there", op: { op: "replace", path: "/registrations/~1reg~19", value: {} } },
    { name: "age of what is not there", op: { op: "replace", path: "/registrations/~1reg~19/lt-age", value: 0 } },
    { name: "age of what objects inherit", op: { op: "replace", path: "/registrations/constructor/lt-age", value: 0 } },
  ])("$name: the copies differ", ({ op }) => {
    expect(holdingReader().apply("ep", on([op])).kind).toBe("gap");
  });

  test("of the two forms of an age, the last one counts", () => {
    const { apply } = holdingReader();
    const renewed = { op: "replace", path: `${ENTRY}/lt-remaining`, value: 90 };
    expect(apply("ep", on([renewed]), 130_000)).toMatchObject({
      changes: [{ kind: "renew", renewedAtMs: 120_000, expiresAtMs: 220_000 }],
    });
  });
});

describe("names that objects inherit are names like others", () => {
  const NAMES = ["__proto__", "constructor", "prototype", "hasOwnProperty", "toString", "valueOf", "get"];

  test.each(NAMES)("%s as a path, an attribute and a link attribute", (name) => {
    const reader = createFeedReader({ assumedLifetimeMs: 1000 });
    const attributes = `"${name}":["x","y"],"plain":true`;
    const ep = `[{"op":"replace","path":"","value":{"version":"1-1","complete":true,"registrations":{"/${name}":{"ep":"${name}","d":"${name}","base":"coap://h",${attributes}},"${name}":{"ep":"no path","base":"coap://h"}}}}]`;
    const res = `[{"op":"replace","path":"","value":{"version":"1-1","complete":true,"links":{"/${name}":[{"href":"coap://h/${name}",${attributes}}]}}}]`;
    expect(reader.apply("ep", ep, 0, nothing)).toMatchObject({
      kind: "applied",
      problems: [expect.stringContaining("is not a path")],
    });
    const expected = [
      [name, "x"],
      [name, "y"],
      ["plain", null],
    ];
    expect(reader.apply("res", res, 0, nothing)).toMatchObject({
      kind: "applied",
      problems: [],
      changes: [
        {
          kind: "put",
          registration: {
            href: `/${name}`,
            ep: name,
            d: name,
            attributes: expected,
            links: [{ target: `coap://h/${name}`, attributes: expected }],
          },
        },
      ],
    });
  });

  test("members that an entry does not have are not taken from its prototype", () => {
    const entry = `{"__proto__":{"ep":"inherited","base":"coap://h"}}`;
    const patch = `[{"op":"replace","path":"","value":{"version":"1-1","complete":true,"registrations":{"/a":${entry}}}}]`;
    const reader = createFeedReader({ assumedLifetimeMs: 1000 });
    expect(reader.apply("ep", patch, 0, nothing)).toMatchObject({
      problems: [expect.stringContaining("endpoint name")],
    });
  });
});

describe("a patch has the size that the protocol says", () => {
  const link = (length: number) => [{ href: `coap://h/${"x".repeat(length)}` }];

  test("one large registration travels alone", () => {
    expect(typeof parseFeedPatch("res", fresh("res", { "/a": link(MAX_SHARED_PATCH_BYTES) }))).toBe("object");
    const add = { op: "add", path: "/links/~1a", value: link(MAX_SHARED_PATCH_BYTES) };
    expect(typeof parseFeedPatch("res", on([add]))).toBe("object");
  });

  test.each([
    { name: "two in a document", patch: fresh("res", { "/a": link(MAX_SHARED_PATCH_BYTES), "/b": [] }) },
    {
      name: "two in a patch",
      patch: on([
        { op: "add", path: "/links/~1a", value: link(MAX_SHARED_PATCH_BYTES) },
        { op: "remove", path: "/links/~1b" },
      ]),
    },
    { name: "one that is too large", patch: fresh("res", { "/a": link(MAX_PATCH_BYTES) }) },
    { name: "bytes that are too many, before they are read", patch: new Uint8Array(MAX_PATCH_BYTES + 1) },
  ])("$name: refused", ({ patch }) => {
    expect(parseFeedPatch("res", patch)).toContain("bytes");
  });

  test("a small patch cannot make a reader write out much of what it holds", () => {
    const reader = createFeedReader({ assumedLifetimeMs: 1000 });
    const replica = new Map<string, Extract<CopyChange, { kind: "put" }>["registration"]>();
    const held = { get: (href: string) => replica.get(href), hrefs: () => replica.keys() };
    const hrefs = Array.from({ length: 40 }, (_, index) => `/${index}`);
    for (const [index, href] of hrefs.entries()) {
      replica.set(href, {
        href,
        ep: href,
        base: "coap://h",
        attributes: [],
        links: [{ target: `coap://h/${"x".repeat(60_000)}`, attributes: [] }],
        ltMs: 1000,
        renewedAtMs: index,
        expiresAtMs: 1000,
        expiry: "exact",
      });
    }
    reader.resume({ ep: { epoch: 0xa1, counter: 1 }, res: { epoch: 0xa1, counter: 1 } });
    const tests = hrefs.map((href) => ({ op: "test", path: `/links/~1${href.slice(1)}`, value: [] }));
    expect(reader.apply("res", on(tests), 0, held)).toMatchObject({
      kind: "malformed",
      message: expect.stringContaining("of what is held"),
    });
  });

  test.each([
    { name: "names", value: Object.fromEntries(Array.from({ length: 40_000 }, (_, at) => [`a${at}`, true])) },
    { name: "items", value: { a: Array(40_000).fill(true) } },
    { name: "arrays", value: { a: Array(40_000).fill([]) } },
  ])("more $name than any registration can have are refused before they are parsed", ({ value }) => {
    const reader = createFeedReader({ assumedLifetimeMs: 1000 });
    const patch = JSON.stringify([
      { op: "replace", path: "", value: { version: "1-1", complete: true, links: { "/a": [value] } } },
    ]);
    const refusal = { kind: "malformed", message: "the patch has more than 32768 values" };
    expect(reader.apply("res", patch, 0, nothing)).toEqual(refusal);
    // In a string they are text, whatever it looks like.
    const text = JSON.stringify([
      {
        op: "replace",
        path: "",
        value: {
          version: "1-1",
          links: { "/a": [{ href: "coap://h", t: `\\"${JSON.stringify(value).slice(0, 60_000)}` }] },
        },
      },
    ]);
    expect(reader.apply("res", text, 0, nothing).kind).toBe("applied");
  });

  test("nesting beyond that of a feed costs the entry, not the process", () => {
    const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
    const patch = `[{"op":"replace","path":"","value":{"version":"1-1","complete":true,"registrations":{"/a":{"ep":"a","base":"coap://h","x":${deep}},"/b":{"ep":"b","base":"coap://h"}}}}]`;
    const reader = createFeedReader({ assumedLifetimeMs: 1000 });
    expect(reader.apply("ep", patch, 0, nothing)).toMatchObject({ kind: "applied", problems: [expect.any(String)] });
  });
});

test.each([
  {
    name: "a document of nothing",
    patch: `[{"op":"replace","path":"","value":{"version":"1-1","clock":"a-10"}}]`,
    want: { run: 10, ms: 16 },
  },
  { name: "no document", patch: on([]), want: null },
  { name: "not a feed", patch: `{"0":{"value":{"clock":"a-10"}}}`, want: null },
])("the clock in $name", ({ patch, want }) => {
  expect(readClock(patch)).toEqual(want);
});

describe("what is left out of a feed", () => {
  const good = { ep: "n", base: "coap://h", lt: 100, "lt-age": 0 };
  const limits = { ...DEFAULT_RECORD_LIMITS, links: 2, attributes: 2 };

  /** Both feeds of one RD, and what a reader with small limits makes of them. */
  function follow(entries: Record<string, unknown>, links: Record<string, unknown>) {
    const reader = createFeedReader({ assumedLifetimeMs: 1000, limits });
    const replica = new Map<string, Extract<CopyChange, { kind: "put" }>["registration"]>();
    const held = { get: (href: string) => replica.get(href), hrefs: () => replica.keys() };
    const apply = (kind: FeedKind, patch: string) => {
      const outcome = reader.apply(kind, patch, 0, held);
      for (const change of outcome.kind === "applied" ? outcome.changes : []) {
        if (change.kind === "put") replica.set(change.registration.href, change.registration);
        else if (change.kind === "remove") replica.delete(change.href);
      }
      return outcome;
    };
    apply("ep", fresh("ep", entries));
    apply("res", fresh("res", links));
    const counts = () => Object.fromEntries([...reader.faults()].map(([fault, { count }]) => [fault, count]));
    return { reader, replica, apply, counts };
  }

  test("a registration beyond the limits, by either half; a link that is no absolute URI alone", () => {
    const { replica, counts, reader } = follow(
      { "/a": { ...good, x: ["1", "2", "3"] }, "/b": good, "/c": good, "/d": { ...good, base: "rel" } },
      {
        "/a": [],
        "/b": [{ href: "coap://h/1" }, { href: "coap://h/2" }, { href: "coap://h/3" }],
        "/c": [{ href: "rel" }, { href: "coap://h/1" }],
        "/d": [],
      },
    );
    expect([...replica]).toMatchObject([["/c", { links: [{ target: "coap://h/1" }] }]]);
    expect(counts()).toEqual({ "beyond-limits": 2, "relative-target": 1, malformed: 1 });
    expect(reader.position()).toBeNull();
  });

  test.each(["/a", "/b"])("%s, left out, can be renewed, removed and become right without a new copy", (href) => {
    const few = [{ href: "coap://h/1" }];
    const many = [...few, ...few, ...few];
    const { replica, counts, apply, reader } = follow(
      { "/a": { ...good, ep: 5 }, "/b": good },
      { "/a": few, "/b": many },
    );
    expect(replica.size).toBe(0);
    const pointer = href.replace("/", "~1");
    const renewal = { op: "replace", path: `/registrations/${pointer}/lt-age`, value: 0 };
    expect(apply("ep", on([renewal]))).toMatchObject({ kind: "applied", changes: [] });
    expect(apply("res", on([])).kind).toBe("applied");
    const next = (operation: object) =>
      JSON.stringify([
        { op: "test", path: "/version", value: "a1-2" },
        operation,
        { op: "replace", path: "/version", value: "a1-3" },
      ]);
    apply("ep", next({ op: "add", path: `/registrations/${pointer}`, value: good }));
    apply("res", next({ op: "add", path: `/links/${pointer}`, value: few }));
    expect([...replica.keys()]).toEqual([href]);
    expect(Object.values(counts())).toEqual([1]);
    expect(reader.version("ep")).toEqual({ epoch: 0xa1, counter: 3 });
  });

  test("what was held is not shown any more when its new state is beyond the limits", () => {
    const few = [{ href: "coap://h/1" }];
    const { replica, apply } = follow({ "/a": good }, { "/a": few });
    expect(replica.size).toBe(1);
    apply("ep", on([{ op: "add", path: "/registrations/~1a", value: { ...good, et: "new" } }]));
    apply("res", on([{ op: "add", path: "/links/~1a", value: [...few, ...few, ...few] }]));
    expect(replica.size).toBe(0);
  });
});
