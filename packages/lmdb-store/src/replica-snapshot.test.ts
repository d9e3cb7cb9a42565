import { createMemoryReplicaStore, type KeptRegistration, type ReplicaStore } from "@tributary/upstream-sync";
import fc from "fast-check";
import { open } from "lmdb";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openReplicaSnapshot } from "./replica-snapshot.js";
import { listeningLogger, temporaryFolder } from "./testing/temporary-folder.js";

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const logger = listeningLogger();
const openSnapshot = (path = folder.path) => openReplicaSnapshot({ logger, wallMs: () => 0 }, { path });

function kept(href: string, content = 0): KeptRegistration {
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

const replica = { settings: "s", authority: "coap://rd", isComplete: true };
const position = { ep: { epoch: 1, counter: 2 }, res: { epoch: 1, counter: 3 } };
const LONG = `/${"x".repeat(3000)}`;

function contentOf(store: ReplicaStore) {
  return store
    .sources()
    .sort()
    .map((source) => ({
      source,
      replica: { ...store.load(source) },
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
        const memory = createMemoryReplicaStore();
        for (const [what, name, place, content] of steps) {
          for (const store of [snapshot, memory]) {
            if (what === "put") {
              store.open(name, replica);
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
        expect(contentOf(again)).toEqual(contentOf(memory).filter(({ replica: { settings } }) => settings === "s"));
        expect(again.rejected.size).toBe(0);
        await again.close();
      }),
      { numRuns: 15 },
    );
  });

  test("a registration that cannot be read takes the position with it: the rest is shown, and copied anew", async () => {
    const before = await openSnapshot();
    before.open("a", replica);
    before.put("a", kept("/1"));
    before.put("a", kept("/2"));
    before.setPosition("a", position);
    await before.close();
    const environment = open({ path: folder.path, maxDbs: 8 });
    await environment.openDB({ name: "replicas", encoding: "msgpack" }).put(["a", "/1"], "rubbish");
    await environment.close();
    const after = await openSnapshot();
    expect([...after.registrations("a")].map(({ registration }) => registration.href)).toEqual(["/2"]);
    expect(after.position("a")).toBeUndefined();
    expect(after.rejected.get("snapshot-record")).toBe(1);
    await after.close();
    const again = await openSnapshot();
    expect([...again.registrations("a")]).toHaveLength(1);
    expect(again.rejected.size).toBe(0);
    await again.close();
  });
});
