import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CopyStore, createMemoryCopyStore, type StoredRegistration } from "@tributary/upstream-sync";
import fc from "fast-check";
import { open } from "lmdb";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { packCopied } from "./copy-format.js";
import { openCopySnapshot } from "./copy-snapshot.js";
import { listeningLogger, stoppedClock, temporaryFolder } from "./testing/temporary-folder.js";

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const logger = listeningLogger();
const openSnapshot = (path = folder.path) =>
  openCopySnapshot({ logger, clock: stoppedClock(0), hostUptime: () => null }, { path });

function kept(href: string, content = 0): StoredRegistration {
  return {
    registration: {
      href,
      ep: `n${content}`,
      ...(content % 2 === 0 ? {} : { d: "floor1" }),
      base: "coap://h",
      attributes: [
        ["et", "x"],
        ["flag", null],
      ],
      links: [{ target: "coap://h/t", attributes: [["rt", String(content)]] }],
      ...(content % 3 === 0 ? {} : { ltMs: 60_000 }),
      expiry: content % 3 === 0 ? "assumed" : "exact",
    },
    renewedAtWallMs: 1000 + content,
    expiresAtWallMs: 61_000 + content,
  };
}

const copy = { settings: "s", authority: "coap://rd", isComplete: true };
const position = { ep: { epoch: 1, counter: 2 }, res: { epoch: 1, counter: 3 } };
const LONG = `/${"x".repeat(3000)}`;

function contentOf(store: CopyStore) {
  return store
    .sources()
    .sort()
    .map((source) => ({
      source,
      copy: { ...store.load(source) },
      position: store.position(source),
      registrations: [...store.registrations(source)].sort((a, b) =>
        a.registration.href < b.registration.href ? -1 : 1,
      ),
    }));
}

const source = fc.constantFrom("a", "b");
const href = fc.constantFrom("/reg/1", "/reg/2", "/r%C3%A9g/ü", LONG);
const step = fc.oneof(
  fc.tuple(fc.constant("put" as const), source, href, fc.nat(9)),
  fc.tuple(fc.constant("renew" as const), source, href, fc.nat(9)),
  fc.tuple(fc.constant("remove" as const), source, href, fc.nat(9)),
  fc.tuple(fc.constant("position" as const), source, href, fc.nat(9)),
  fc.tuple(fc.constant("forget" as const), source, href, fc.nat(9)),
);

describe("replicas in a folder", () => {
  test("after a restart everything is as it was in memory", { timeout: 60_000 }, async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const path = `${folder.path}-${run++}`;
        const snapshot = await openSnapshot(path);
        const memory = createMemoryCopyStore();
        for (const [what, name, place, content] of steps) {
          for (const store of [snapshot, memory]) {
            if (what === "put") {
              store.open(name, copy);
              store.put(name, kept(place, content));
            } else if (what === "renew")
              store.renew(name, place, { renewedAtWallMs: content, expiresAtWallMs: content + 1 });
            else if (what === "remove") store.remove(name, place);
            else if (what === "position" && store.load(name) !== undefined)
              store.setPosition(name, content === 0 ? undefined : position);
            else if (what === "forget") store.forget(name);
          }
        }
        await snapshot.close();
        const again = await openSnapshot(path);
        expect(contentOf(again)).toEqual(contentOf(memory).filter(({ copy: { settings } }) => settings === "s"));
        expect(again.rejected.size).toBe(0);
        await again.close();
      }),
      { numRuns: 15 },
    );
  });

  test("a registration that cannot be read drops the cursor: the rest is used, and the copy resynchronised", async () => {
    const before = await openSnapshot();
    before.open("a", copy);
    before.put("a", kept("/1"));
    before.put("a", kept("/2"));
    before.setPosition("a", position);
    await before.close();
    const file = join(folder.path, "data.mdb");
    const bytes = readFileSync(file);
    for (let at = bytes.indexOf('["/1"'); at >= 0; at = bytes.indexOf('["/1"', at + 1)) bytes[at + 3] = 0x37;
    writeFileSync(file, bytes);
    const after = await openSnapshot();
    expect([...after.registrations("a")].map(({ registration }) => registration.href)).toEqual(["/2"]);
    expect(after.position("a")).toBeUndefined();
    expect(after.load("a")).toMatchObject({ isComplete: false });
    expect(after.rejected.get("snapshot-record")).toBe(1);
    await after.close();
    const again = await openSnapshot();
    expect([...again.registrations("a")]).toHaveLength(1);
    expect(again.rejected.size).toBe(0);
    await again.close();
  });

  test("the format without checksums is taken over", async () => {
    const environment = open({ path: folder.path, maxDbs: 8, overlappingSync: false });
    await environment.openDB({ name: "meta", encoding: "json" }).put("format", 1);
    await environment.openDB({ name: "upstreams", encoding: "json" }).put("a", { ...copy, position });
    const { registration, renewedAtWallMs, expiresAtWallMs } = kept("/1");
    await environment
      .openDB({ name: "replicas", encoding: "msgpack" })
      .put(["a", "/1"], packCopied(registration) as unknown as string);
    await environment
      .openDB({ name: "times", encoding: "msgpack" })
      .put(["a", "/1"], [renewedAtWallMs, expiresAtWallMs]);
    await environment.close();
    const snapshot = await openSnapshot();
    expect([...snapshot.registrations("a")]).toEqual([kept("/1")]);
    expect(snapshot.position("a")).toEqual(position);
    await snapshot.close();
  });

  test("a step of the wall clock while it runs changes no age", async () => {
    const clock = stoppedClock(1_000_000);
    const deps = { logger, clock, hostUptime: () => null };
    const before = await openCopySnapshot(deps, { path: folder.path });
    before.open("a", copy);
    before.put("a", { ...kept("/1"), renewedAtWallMs: 1_000_000, expiresAtWallMs: 1_060_000 });
    clock.set({ wallMs: 1_002_000 + 30 * 86_400_000, nowMs: 2000 });
    await before.close();
    const after = await openCopySnapshot(deps, { path: folder.path });
    const [found] = [...after.registrations("a")];
    expect(clock.wallMs() - (found?.renewedAtWallMs ?? 0)).toBe(2000);
    expect((found?.expiresAtWallMs ?? 0) - (found?.renewedAtWallMs ?? 0)).toBe(60_000);
    await after.close();
  });
});
