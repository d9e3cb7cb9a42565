import type { Registration } from "@tributary/merge-engine";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createChangeLog } from "../publisher/change-log.js";
import type { ChangeLog, CopyChange, FeedCursor, FeedKind, FeedPatch, FeedReader } from "../types.js";
import type { Version } from "../version.js";
import { createFeedReader } from "./feed-reader.js";

/** Contents 2n and 2n+1 differ in their links only. */
function registration(href: string, content: number, renewedAtMs = 0): Registration {
  const type = content >> 1;
  return {
    href,
    ep: `node-${href}`,
    ...(type % 3 === 0 ? {} : { d: "floor1" }),
    base: "coap://[2001:db8::1]",
    attributes: [
      ["et", "urn:ex:lamp"],
      ["et", `urn:ex:${type}`],
      ["flag", null],
    ],
    links: [
      {
        target: `coap://[2001:db8::1]/s/${content}`,
        attributes: [
          ["rt", `t${content}`],
          ["obs", null],
        ],
      },
    ],
    ltMs: 90_000_000,
    renewedAtMs,
    expiresAtMs: renewedAtMs + 90_000_000,
    expiry: "exact",
  };
}

function halvesOf({ href, d, attributes, links }: Registration): string[] {
  return [JSON.stringify([href, d, attributes]), JSON.stringify([href, links])];
}

/** An RD with its log, and the replica that a reader keeps of it. */
class Pair {
  log: ChangeLog;
  readonly rd = new Map<string, Registration>();
  readonly replica = new Map<string, Registration>();
  /** Parameters and links that registrations ever had at the RD. */
  readonly halves = new Set<string>();
  readonly reader: FeedReader = createFeedReader({ assumedLifetimeMs: 90_000_000 });
  nowMs = 1_000_000;
  isComplete = false;
  cursors: Record<FeedKind, FeedCursor>;

  constructor(maxTombstones = 100) {
    this.log = createChangeLog({ epoch: 0xa1, maxTombstones });
    this.cursors = { ep: this.log.open("ep", [], null), res: this.log.open("res", [], null) };
  }

  put(href: string, content: number): void {
    const before = this.rd.get(href);
    const next = registration(href, content, this.nowMs);
    this.rd.set(href, next);
    for (const half of halvesOf(next)) this.halves.add(half);
    const differs = (part: (one: Registration) => unknown) =>
      before === undefined || JSON.stringify(part(before)) !== JSON.stringify(part(next));
    const endpointChanged = differs(({ d, attributes }) => [d, attributes]);
    const linksChanged = differs(({ links }) => links);
    const kind = before === undefined ? "added" : endpointChanged || linksChanged ? "replaced" : "renewed";
    this.log.record({ href, kind, endpointChanged, linksChanged });
  }

  remove(href: string): void {
    if (this.rd.delete(href)) this.log.record({ href, kind: "removed", endpointChanged: true, linksChanged: true });
  }

  patch(kind: FeedKind, maxBytes = 700): FeedPatch | null {
    return this.log.nextPatch(this.cursors[kind], { get: (href) => this.rd.get(href), nowMs: this.nowMs }, maxBytes);
  }

  /**
   * Send the next patch; `lost`: the subscriber does not see it although the RD believes so. With a patch that starts from the beginning
   * that is not to be: the versions of a copy mean something only to who received its beginning.
   */
  send(kind: FeedKind, fate: "delivered" | "lost" | "duplicated" = "delivered", maxBytes = 700): boolean {
    const patch = this.patch(kind, maxBytes);
    if (patch === null) return false;
    const isFromStart = patch.text.startsWith('[{"op":"replace","path":""');
    if (fate === "lost" && isFromStart) return true;
    this.cursors[kind] = this.log.advance(this.cursors[kind], patch);
    if (fate === "lost") return true;
    this.receive(kind, patch);
    if (fate === "duplicated") this.receive(kind, patch);
    return true;
  }

  receive(kind: FeedKind, patch: FeedPatch): void {
    const held = { get: (href: string) => this.replica.get(href), hrefs: () => this.replica.keys() };
    const outcome = this.reader.apply(kind, patch.text, this.nowMs, held);
    if (outcome.kind === "gap") this.resume(kind);
    if (outcome.kind === "malformed") throw new Error(outcome.message);
    if (outcome.kind !== "applied") return;
    expect(outcome.problems).toEqual([]);
    for (const change of outcome.changes) this.apply(change);
    this.isComplete = outcome.isComplete;
  }

  confirm(kind: FeedKind, version: Version): void {
    const steps = this.reader.confirmInSteps(kind, version, {
      get: (href) => this.replica.get(href),
      hrefs: () => this.replica.keys(),
    });
    for (;;) {
      const { done, value } = steps.next();
      if (done !== true) continue;
      if (value.kind !== "applied") throw new Error(value.kind);
      for (const change of value.changes) this.apply(change);
      this.isComplete = value.isComplete;
      return;
    }
  }

  apply(change: CopyChange): void {
    if (change.kind === "put") {
      for (const half of halvesOf(change.registration)) expect(this.halves, "nothing is made up").toContain(half);
      this.replica.set(change.registration.href, change.registration);
    } else if (change.kind === "remove") this.replica.delete(change.href);
    else if (change.kind === "renew") {
      const known = this.replica.get(change.href);
      expect(known, `renewal of ${change.href}, which is not held`).toBeDefined();
      if (known)
        this.replica.set(change.href, { ...known, renewedAtMs: change.renewedAtMs, expiresAtMs: change.expiresAtMs });
    }
  }

  resume(kind: FeedKind): void {
    this.cursors[kind] = this.log.open(kind, [], this.reader.version(kind));
  }

  settle(): void {
    for (const kind of ["ep", "res"] as const) this.resume(kind);
    for (let round = 0; round < 10_000; round++) {
      const moved = this.send("ep");
      if (!this.send("res") && !moved) return;
    }
    throw new Error("the feeds never came to rest");
  }

  expectEqual(): void {
    expect(new Map([...this.replica].sort())).toEqual(new Map([...this.rd].sort()));
    expect(this.reader.isComplete("ep") && this.reader.isComplete("res")).toBe(true);
  }
}

describe("a feed from its log to its reader", () => {
  test("a full copy arrives as bounded patches and is complete with the last", () => {
    const pair = new Pair();
    for (let index = 0; index < 50; index++) pair.put(`/reg/${index}`, index);
    let count = 0;
    for (; pair.send("ep", "delivered", 1000); count++)
      expect(pair.reader.isComplete("ep")).toBe(!pair.log.hasNews(pair.cursors.ep));
    expect(count).toBeGreaterThan(5);
    expect(pair.isComplete).toBe(false);
    while (pair.send("res", "delivered", 1000));
    expect(pair.isComplete).toBe(true);
    pair.expectEqual();
  });

  test("where the patch that says so is lost, a copy is complete when nothing is newer than what is held", () => {
    const pair = new Pair();
    for (let index = 0; index < 5; index++) pair.put(`/reg/${index}`, index);
    pair.settle();
    pair.rd.delete("/reg/0");
    pair.log = createChangeLog({ epoch: 0xa2, maxTombstones: 100 });
    for (let index = 1; index < 5; index++) pair.put(`/reg/${index}`, index + 20);
    for (const kind of ["ep", "res"] as const) {
      pair.resume(kind);
      for (let patch = pair.patch(kind, 600); patch !== null; patch = pair.patch(kind, 600)) {
        // As from a publisher that takes an earlier patch, which is lost, to have said it.
        const text = patch.text
          .replace('"complete":true', '"complete":false')
          .replace('{"op":"replace","path":"/complete","value":true},', "");
        pair.receive(kind, { ...patch, text });
        pair.cursors[kind] = pair.log.advance(pair.cursors[kind], patch);
      }
    }
    expect(pair.isComplete).toBe(false);
    expect(pair.replica.has("/reg/0")).toBe(true);
    for (const kind of ["ep", "res"] as const) {
      pair.confirm(kind, { epoch: 0xa2, counter: 1 });
      expect(pair.reader.isComplete(kind), "an older version says nothing").toBe(false);
      pair.confirm(kind, pair.reader.version(kind) as Version);
    }
    expect(pair.isComplete).toBe(true);
    pair.expectEqual();
  });

  test("every patch but one of a single larger registration keeps the bound", () => {
    const pair = new Pair();
    for (let index = 0; index < 200; index++) pair.put(`/reg/${index}`, index);
    for (let patch = pair.patch("res", 900); patch !== null; patch = pair.patch("res", 900)) {
      expect(patch.byteLength).toBe(Buffer.byteLength(patch.text));
      expect(patch.byteLength).toBeLessThanOrEqual(900);
      pair.cursors.res = pair.log.advance(pair.cursors.res, patch);
    }
  });

  test("a registration is handed out only when both feeds have it", () => {
    const pair = new Pair();
    pair.settle();
    pair.put("/reg/1", 1);
    pair.send("ep");
    expect(pair.replica.size).toBe(0);
    pair.send("res");
    pair.expectEqual();
  });

  test("new parameters are not mixed with old links", () => {
    const pair = new Pair();
    pair.put("/reg/1", 1);
    pair.settle();
    pair.put("/reg/1", 2);
    pair.send("ep");
    expect(pair.replica.get("/reg/1")?.attributes).toContainEqual(["et", "urn:ex:0"]);
    pair.send("res");
    pair.expectEqual();
  });

  test("a renewal is one operation on the age and touches no links", () => {
    const pair = new Pair();
    pair.put("/reg/1", 1);
    pair.settle();
    pair.nowMs += 5000;
    pair.put("/reg/1", 1);
    expect(pair.log.hasNews(pair.cursors.res)).toBe(false);
    const patch = pair.patch("ep");
    expect(JSON.parse(patch?.text ?? "[]")).toEqual([
      { op: "test", path: "/version", value: "a1-1" },
      { op: "replace", path: "/registrations/~1reg~11/lt-age", value: 0 },
      { op: "replace", path: "/version", value: "a1-2" },
    ]);
    pair.send("ep");
    pair.expectEqual();
  });

  test("a removal is shown at once, without waiting for the other feed", () => {
    const pair = new Pair();
    pair.put("/reg/1", 1);
    pair.settle();
    pair.remove("/reg/1");
    pair.send("ep");
    expect(pair.replica.size).toBe(0);
  });

  test("a registration that is removed and revived under the same path is neither lost nor doubled", () => {
    const pair = new Pair();
    pair.put("/reg/1", 1);
    pair.settle();
    pair.remove("/reg/1");
    pair.put("/reg/1", 2);
    pair.remove("/reg/1");
    pair.settle();
    pair.expectEqual();
    pair.put("/reg/1", 4);
    pair.settle();
    pair.expectEqual();
  });

  test("a lost patch is noticed by the next and made up for by asking with the held version", () => {
    const pair = new Pair();
    pair.settle();
    pair.put("/reg/1", 1);
    pair.send("ep", "lost");
    pair.put("/reg/2", 2);
    pair.send("ep");
    pair.settle();
    pair.expectEqual();
  });

  test("an RD that lost its history is copied again without hiding what is still true", () => {
    const pair = new Pair();
    pair.put("/reg/1", 1);
    pair.put("/reg/2", 2);
    pair.settle();
    pair.log = createChangeLog({ epoch: 0xb2 });
    pair.rd.delete("/reg/2");
    for (const href of pair.rd.keys())
      pair.log.record({ href, kind: "added", endpointChanged: true, linksChanged: true });
    pair.resume("ep");
    pair.send("ep");
    expect([...pair.replica.keys()]).toEqual(["/reg/1", "/reg/2"]);
    pair.settle();
    pair.expectEqual();
  });

  test("a cursor older than the remembered removals starts from the beginning", () => {
    const pair = new Pair(2);
    for (let index = 0; index < 6; index++) pair.put(`/reg/${index}`, index);
    pair.settle();
    for (let index = 0; index < 5; index++) pair.remove(`/reg/${index}`);
    pair.resume("ep");
    expect(JSON.parse(pair.patch("ep")?.text ?? "[]")[0]).toMatchObject({ op: "replace", path: "" });
    pair.settle();
    pair.expectEqual();
  });

  const hrefs = fc.integer({ min: 0, max: 6 }).map((id) => `/reg/${id}`);
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant("put" as const), href: hrefs, content: fc.integer({ min: 0, max: 5 }) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("remove" as const), href: hrefs }) },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant("send" as const),
        kind: fc.constantFrom("ep" as const, "res" as const),
        fate: fc.constantFrom("delivered" as const, "delivered" as const, "lost" as const, "duplicated" as const),
        maxBytes: fc.constantFrom(300, 700, 65_536),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant("resume" as const),
        kind: fc.constantFrom("ep" as const, "res" as const),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant("wait" as const),
        ms: fc.integer({ min: 0, max: 9 }).map((n) => n * 1000),
      }),
    },
  );

  test.each([
    { name: "links first", order: ["res", "ep"] },
    { name: "age first", order: ["ep", "res"] },
  ] as const)("a renewal with other links is a renewal: $name", ({ order }) => {
    const pair = new Pair();
    pair.put("/reg/1", 0);
    pair.send("ep");
    pair.send("res");
    pair.nowMs += 5000;
    pair.put("/reg/1", 1);
    for (const kind of order) pair.send(kind);
    pair.expectEqual();
  });

  test("a copy of several patches comes to an end although removals from before it are forgotten", () => {
    const pair = new Pair(0);
    for (let index = 0; index < 20; index++) pair.put(`/reg/${index}`, index);
    pair.remove("/reg/19");
    let patches = 0;
    for (; pair.send("ep"); patches++) expect(patches).toBeLessThan(30);
    while (pair.send("res"));
    expect(patches).toBeGreaterThan(2);
    pair.expectEqual();
  });

  test("a removal that is forgotten during the initial sync starts it again", () => {
    const pair = new Pair(0);
    for (let index = 0; index < 20; index++) pair.put(`/reg/${index}`, index);
    pair.send("ep");
    pair.send("res");
    pair.remove("/reg/0");
    expect(pair.log.canContinue(pair.cursors.ep)).toBe(false);
    while (pair.send("ep"));
    while (pair.send("res"));
    pair.expectEqual();
  });

  test("whatever is changed, lost, repeated or resumed, the replica ends up equal to the RD", () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60, size: "max" }),
        fc.integer({ min: 0, max: 4 }),
        (steps, maxTombstones) => {
          const pair = new Pair(maxTombstones);
          for (const one of steps) {
            if (one.do === "put") pair.put(one.href, one.content);
            else if (one.do === "remove") pair.remove(one.href);
            else if (one.do === "send") pair.send(one.kind, one.fate, one.maxBytes);
            else if (one.do === "resume") pair.resume(one.kind);
            else pair.nowMs += one.ms;
          }
          pair.settle();
          pair.expectEqual();
        },
      ),
      { numRuns: 1500 },
    );
  });
});

describe("hostile patches", () => {
  const held = { get: () => undefined, hrefs: () => [] };
  test.each([
    { name: "not JSON", patch: "[{", kind: "malformed" },
    { name: "not UTF-8", patch: new Uint8Array([0x5b, 0xff]), kind: "malformed" },
    { name: "not a list", patch: '{"op":"add"}', kind: "malformed" },
    { name: "an unknown operation", patch: '[{"op":"_get","path":""}]', kind: "malformed" },
    {
      name: "no version to build on",
      patch: '[{"op":"add","path":"/registrations/~1a","value":{}}]',
      kind: "malformed",
    },
    { name: "another version", patch: '[{"op":"test","path":"/version","value":"1-1"}]', kind: "gap" },
    {
      name: "a document without a version",
      patch: '[{"op":"replace","path":"","value":{"registrations":{}}}]',
      kind: "malformed",
    },
    {
      name: "a document without registrations",
      patch: '[{"op":"replace","path":"","value":{"version":"1-1"}}]',
      kind: "malformed",
    },
    { name: "a document that is null", patch: '[{"op":"replace","path":"","value":null}]', kind: "malformed" },
    {
      name: "a prototype in a path",
      patch:
        '[{"op":"replace","path":"","value":{"version":"1-1","registrations":{}}},{"op":"add","path":"/registrations/__proto__/x","value":1}]',
      kind: "malformed",
    },
    {
      name: "a path outside the feed",
      patch:
        '[{"op":"replace","path":"","value":{"version":"1-1","registrations":{}}},{"op":"add","path":"/links/~1a","value":[]}]',
      kind: "malformed",
    },
  ] as const)("$name changes nothing", ({ patch, kind }) => {
    const reader = createFeedReader({ assumedLifetimeMs: 1 });
    expect(reader.apply("ep", patch, 0, held).kind).toBe(kind);
    expect(reader.version("ep")).toBeNull();
  });

  test("a record that is not valid is left out and named, the others are taken", () => {
    const reader = createFeedReader({ assumedLifetimeMs: 1000 });
    const value = {
      version: "1-5",
      complete: true,
      registrations: {
        "/a": { ep: "" },
        "coap://x/y": { ep: "n", base: "coap://h" },
        "/b": { ep: "n", con: "coap://h", lt: 10 },
      },
    };
    const outcome = reader.apply("ep", JSON.stringify([{ op: "replace", path: "", value }]), 5000, held);
    expect(outcome).toMatchObject({
      kind: "applied",
      problems: [expect.stringContaining("/a"), expect.stringContaining("coap://x/y")],
    });
    const links = { version: "1-5", complete: true, links: { "/b": [] } };
    expect(reader.apply("res", JSON.stringify([{ op: "replace", path: "", value: links }]), 5000, held)).toMatchObject({
      changes: [
        {
          kind: "put",
          registration: { href: "/b", base: "coap://h", ltMs: 10_000, expiry: "assumed", expiresAtMs: 15_000 },
        },
      ],
      isComplete: true,
    });
  });

  test("what is left out is what both feeds have now, whatever was left out before", () => {
    const reader = createFeedReader({ assumedLifetimeMs: 1000 });
    const fresh = (kind: FeedKind, version: string, entries: Record<string, unknown>) => {
      const member = kind === "ep" ? "registrations" : "links";
      const value = { version, complete: true, [member]: entries };
      reader.apply(kind, JSON.stringify([{ op: "replace", path: "", value }]), 0, held);
    };
    const patch = (kind: FeedKind, from: string, to: string, operation: object) => {
      const test = { op: "test", path: "/version", value: from };
      const replace = { op: "replace", path: "/version", value: to };
      return reader.apply(kind, JSON.stringify([test, operation, replace]), 0, held);
    };
    const counts = () => Object.fromEntries([...reader.faults()].map(([fault, { count }]) => [fault, count]));
    const good = { ep: "n", base: "coap://h" };
    fresh("ep", "1-5", { "/a": { ep: "", base: "coap://h" }, "/b": { ep: "n" }, "/c": good, "/d": { ep: "" } });
    fresh("res", "1-5", { "/a": [], "/b": [], "/c": [{ href: 5 }] });
    expect(counts()).toEqual({ "no-name": 2, "no-base": 1, malformed: 1 });
    expect(reader.faults().get("no-name")?.example).toContain("/a");
    patch("ep", "1-5", "1-6", { op: "add", path: "/registrations/~1a", value: good });
    patch("ep", "1-6", "1-7", { op: "remove", path: "/registrations/~1d" });
    expect(counts()).toEqual({ "no-base": 1, malformed: 1 });
    // A copy from the start replaces everything; until it is complete, what was left out stays so.
    fresh("ep", "2-1", { "/b": { ep: "n" }, "/e": { ep: "" } });
    expect(counts()).toEqual({ "no-base": 1, "no-name": 1, malformed: 1 });
    fresh("res", "2-1", { "/b": [], "/e": [] });
    expect(counts()).toEqual({ "no-base": 1, "no-name": 1 });
  });

  test("arbitrary text never throws", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const reader = createFeedReader({ assumedLifetimeMs: 1 });
        reader.apply("ep", text, 0, held);
        reader.apply("res", text, 0, held);
      }),
    );
  });
});

test("an RD that sends one feed alone fills no more than it may; from the start again, all is well", () => {
  const reader = createFeedReader({ assumedLifetimeMs: 1000, maxStaged: 10 });
  const held = { get: () => undefined, hrefs: () => [] };
  const add = (counter: number) =>
    JSON.stringify([
      { op: "test", path: "/version", value: `a1-${counter.toString(16)}` },
      { op: "add", path: `/registrations/~1reg~1${counter}`, value: { ep: `n${counter}`, base: "coap://h" } },
      { op: "replace", path: "/version", value: `a1-${(counter + 1).toString(16)}` },
    ]);
  const start = JSON.stringify([
    { op: "replace", path: "", value: { version: "a1-0", complete: true, registrations: {} } },
  ]);
  expect(reader.apply("ep", start, 0, held).kind).toBe("applied");
  for (let counter = 0; counter < 10; counter++) expect(reader.apply("ep", add(counter), 0, held).kind).toBe("applied");
  expect(reader.apply("ep", add(10), 0, held)).toMatchObject({ kind: "malformed" });
  reader.restart("ep");
  expect(reader.apply("ep", start, 0, held).kind).toBe("applied");
});
