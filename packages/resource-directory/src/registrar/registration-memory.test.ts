import { formatCode, type ServerResponse } from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { createDirectory, SharedLimit } from "@tributary/merge-engine";
import { silentLogger } from "@tributary/runtime";
import { describe, expect, test } from "vitest";
import { oneWriter, type RegistrationTable } from "../store/one-writer.js";
import type { StoredRegistration } from "../stored-registration.js";
import { codeOf, serveDirectory } from "../testing/served-directory.js";
import { keptWeight, leastWeight, OwnMemory, registrantOf, registrantOfBase } from "./own-memory.js";

const WALL_MS = 1_700_000_000_000;

function keptStore(initial: readonly StoredRegistration[] = []) {
  const kept = new Map(initial.map((stored) => [stored.id, stored]));
  const table: RegistrationTable = {
    async *load() {
      yield* [...kept.values()];
    },
    get: (id) => kept.get(id),
    put: (stored) => void kept.set(stored.id, stored),
    delete: (id) => void kept.delete(id),
    close: () => Promise.resolve(),
  };
  return { table, store: oneWriter(table, { epoch: 0xabc }), kept };
}

const stored = (id: string, more: Partial<StoredRegistration> = {}): StoredRegistration => ({
  id,
  ep: id,
  base: "coap://[2001:db8::2]",
  isBaseExplicit: true,
  ltS: 3600,
  attributes: [],
  links: "</x>",
  renewedAtWallMs: WALL_MS,
  isSimple: false,
  ...more,
});

function serveWithin(bytes: number, options: Parameters<typeof serveDirectory>[1] = {}) {
  const memory = new SharedLimit(bytes);
  const world = createVirtualWorld();
  const served = serveDirectory(world, { directory: createDirectory({ memory }), ...options });
  return { memory, world, ...served };
}

/** About 100 kB in memory. */
const FAT = Array.from({ length: 600 }, (_, at) => `</${at}>`).join(",");
const diagnostic = ({ payload }: ServerResponse): string => Buffer.from(payload ?? new Uint8Array()).toString();
const from = (address: string) => ({ from: { address } });

describe("registrations share a limit of bytes", () => {
  test("beyond it they get 5.03 with Max-Age and the reason, and nothing else changes", () => {
    const { ask, register, rd, lookup, memory } = serveWithin(150_000);
    const location = register("ep=a", FAT);
    const large = Array.from({ length: 14 }, () => FAT).join(",");
    const refused = ask("POST", "/rd?ep=b", { payload: large, ...from("192.0.2.1") });
    expect(codeOf(refused)).toBe("5.03");
    expect(refused.maxAgeS).toBe(10);
    expect(diagnostic(refused)).toMatch(/^no memory: the registration needs \d+ bytes more, \d+ are free$/);
    expect(rd.rejected.get("memory")).toBe(1);
    expect(lookup("ep")).toHaveLength(1);
    expect(memory.use().used).toBeLessThan(150_000);
    expect(codeOf(ask("GET", location))).toBe("2.05");
  });

  test("what does not grow is never refused: renewals, the same again, less", () => {
    const { ask, register, memory } = serveWithin(200_000);
    const location = register("ep=a", FAT);
    memory.add("local", 200_000);
    expect(codeOf(ask("POST", location))).toBe("2.04");
    expect(codeOf(ask("POST", `${location}?lt=100`))).toBe("2.04");
    expect(codeOf(ask("POST", "/rd?ep=a", { payload: FAT }))).toBe("2.01");
    expect(codeOf(ask("POST", "/rd?ep=a", { payload: "</x>" }))).toBe("2.01");
    expect(codeOf(ask("POST", "/rd?ep=a", { payload: FAT }))).toBe("5.03");
    expect(codeOf(ask("POST", `${location}?x=${"y".repeat(100)}`))).toBe("5.03");
    expect(codeOf(ask("DELETE", location))).toBe("2.02");
    expect(memory.used("local")).toBe(200_000);
  });

  test("what is refused for its size is not even read", () => {
    const { ask } = serveWithin(20_000);
    expect(codeOf(ask("POST", "/rd?ep=a", { payload: `${FAT.repeat(8)},not link format` }))).toBe("5.03");
  });

  test.each([
    ["nothing", "", 0],
    ["one link", "</a>", 1],
    ["brackets in quotes", '</a>;title="<<<",</b>;title="\\"<"', 2],
    ["many links", FAT, 600],
  ])("what it takes at least shows without reading it: %s", (_, payload, links) => {
    const bytes = Buffer.from(payload);
    expect(leastWeight(bytes)).toBe(2 * bytes.length + 96 * links);
    const { memory, register } = serveWithin(1_000_000);
    register("ep=a", payload);
    expect(leastWeight(bytes)).toBeLessThan(memory.used("local"));
  });

  test("all of it is given back", () => {
    const { ask, register, memory } = serveWithin(1_000_000);
    for (let round = 0; round < 3; round++) {
      const locations = ["a", "b", "c"].map((ep) => register(`ep=${ep}&et=x`, FAT, from(`2001:db8::${round}`)));
      for (const location of locations) expect(codeOf(ask("DELETE", location))).toBe("2.02");
      expect(memory.use().used).toBe(0);
    }
  });

  test("what has ended and may come back counts, and gives way to what is registered now", async () => {
    const { ask, register, rd, memory, world } = serveWithin(1_000_000);
    const kept = register("ep=kept", "</x>");
    const without = memory.used("local");
    const gone = register("ep=gone&lt=60", FAT, from("2001:db8::2"));
    await world.clock.advance(61_000);
    const dormant = memory.used("local") - without;
    expect(dormant).toBeGreaterThan(FAT.length);
    // Room for what a registration like it needs, less than the one that has ended takes.
    memory.add("others", 1_000_000 - memory.use().used - dormant + 100);
    expect(codeOf(ask("POST", gone))).toBe("5.03");
    expect(rd.tableSizes().dormant).toBe(1);
    expect(codeOf(ask("POST", "/rd?ep=new", { payload: "</x>", ...from("192.0.2.1") }))).toBe("2.01");
    expect(rd.tableSizes().dormant).toBe(1);
    memory.add("others", memory.room("local") - 100);
    expect(codeOf(ask("POST", "/rd?ep=newer", { payload: "</x>", ...from("192.0.2.2") }))).toBe("2.01");
    expect(rd.tableSizes().dormant).toBe(0);
    expect(codeOf(ask("POST", gone))).toBe("4.04");
    expect(codeOf(ask("POST", kept))).toBe("2.04");
  });

  test("one being kept counts already while the store is at it", async () => {
    const writes: (() => void)[] = [];
    const { store } = keptStore();
    const slow = { ...store, put: () => new Promise<void>((resolve) => writes.push(resolve)) };
    const { call, memory } = serveWithin(250_000, { store: slow });
    const answers = ["a", "b", "c", "d"].map((ep) => call("POST", `/rd?ep=${ep}`, { payload: FAT }));
    for (const end of writes) end();
    const codes = (await Promise.all(answers)).map(({ code }) => formatCode(code));
    expect(codes.filter((code) => code === "2.01").length).toBeGreaterThan(0);
    expect(codes.at(-1)).toBe("5.03");
    expect(memory.use().used).toBeLessThanOrEqual(250_000);
  });
});

describe("addresses share the memory", () => {
  test("while there is plenty one may have most of it; the last quarter is for those that hold little", () => {
    const { ask, memory } = serveWithin(4_000_000);
    const crowd = (address: string, count: number) =>
      Array.from({ length: count }, (_, at) =>
        codeOf(ask("POST", `/rd?ep=${address}-${at}`, { payload: FAT, ...from(address) })),
      );
    expect(crowd("2001:db8:1::1", 60).at(-1)).toBe("5.03");
    const free = memory.room("local");
    expect(free).toBeGreaterThan(900_000);
    // The same prefix is the same customer.
    expect(crowd("2001:db8:1::2", 1)).toEqual(["5.03"]);
    expect(crowd("2001:db8:2::1", 1)).toEqual(["2.01"]);
    expect(crowd("192.0.2.1", 1)).toEqual(["2.01"]);
    for (let at = 0; at < 100; at++) crowd(`198.51.100.${at}`, 2);
    expect(codeOf(ask("POST", "/rd?ep=small", { payload: "</x>", ...from("203.0.113.1") }))).toBe("2.01");
  });

  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8::1", "2001:db8:0:0"],
    ["2001:db8:0:1::", "2001:db8:0:1"],
    ["::1", "0:0:0:0"],
    ["::192.0.2.1", "0:0:0:0"],
    ["fe80::1", "fe80:0:0:0"],
    ["1:2:3:4:5:6::8", "1:2:3:4"],
  ])("%s counts for %s", (address, registrant) => {
    expect(registrantOf(address)).toBe(registrant);
    const host = address.includes(":") ? `[${address}]` : address;
    expect(registrantOfBase(`coap://${host}:61616`)).toBe(registrant);
    expect(registrantOfBase(`coap+tcp://${host}`)).toBe(registrant);
  });

  test("a base that is no address counts for nobody in particular", () => {
    expect(registrantOfBase("coap://node7.example.com")).toBe("");
  });
});

describe("a store that is larger than the memory", () => {
  const all = ["a", "b", "c", "d"].map((id) => stored(id, { links: FAT }));
  const weight = keptWeight(all[0] as StoredRegistration);

  async function started(bytes: number, initial = all) {
    const { store, kept } = keptStore(initial);
    const warnings: string[] = [];
    const logger = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
    const world = createVirtualWorld({ logger });
    const memory = new SharedLimit(bytes);
    const served = serveDirectory(world, { directory: createDirectory({ memory }), store });
    await served.rd.start();
    return { ...served, kept, memory, world, warnings };
  }

  test("starts with what there is room for, keeps all of it, and says so once", async () => {
    const { rd, kept, lookup, warnings } = await started(250_000);
    const shown = lookup("ep").length;
    expect(shown).toBeGreaterThan(0);
    expect(shown).toBeLessThan(4);
    expect(rd.onDisk).toBe(4 - shown);
    expect(rd.tableSizes()).toMatchObject({ live: shown, "on-disk": 4 - shown });
    expect(kept.size).toBe(4);
    expect(warnings).toEqual([expect.stringContaining("stays on disk")]);
  });

  test("one that is on disk only is never said to be gone", async () => {
    const { ask, kept, rd } = await started(250_000);
    const [left] = ["a", "b", "c", "d"]
      .filter((id) => rd.onDisk > 0 && codeOf(ask("GET", `/reg/${id}`)) === "2.05")
      .slice(-1);
    expect(left).toBe("d");
    expect(codeOf(ask("POST", "/reg/d"))).toBe("5.03");
    expect(codeOf(ask("POST", "/rd?ep=d", { payload: FAT }))).toBe("5.03");
    expect(kept.get("d")).toEqual(all[3]);
    expect(codeOf(ask("POST", "/reg/unknown"))).toBe("4.04");
    const before = rd.onDisk;
    expect(codeOf(ask("DELETE", "/reg/d"))).toBe("2.02");
    expect([kept.has("d"), rd.onDisk]).toEqual([false, before - 1]);
    expect(codeOf(ask("POST", "/reg/d"))).toBe("4.04");
  });

  test("the feed publishes those on disk with their links and ages, a lookup does not; and their removal", async () => {
    const { ask, rd, lookup } = await started(250_000);
    const feed = (kind: "ep" | "res", etag?: Uint8Array) => {
      const path = kind === "ep" ? "/rd-lookup/ep?href=/*" : "/rd-lookup/res?provenance=/*";
      const response = ask("GET", path, {
        accept: 51,
        from: { transport: "tcp" },
        ...(etag === undefined ? {} : { etags: [etag] }),
      });
      return { response, patch: JSON.parse(diagnostic(response)) };
    };
    const published = new Map<string, { readonly "lt-age": number }>();
    let etag: Uint8Array | undefined;
    for (let isWhole = false; !isWhole; ) {
      const { response, patch } = feed("ep", etag);
      etag = response.etag;
      for (const { path, value } of patch) {
        for (const [href, entry] of Object.entries(value?.registrations ?? {})) published.set(href, entry as never);
        if (path.startsWith("/registrations/")) published.set(path.slice(15).replaceAll("~1", "/"), value);
        if (value === true || value?.complete === true) isWhole = true;
      }
    }
    expect(lookup("ep").length).toBeLessThan(4);
    expect([...published.keys()].sort()).toEqual(all.map(({ id }) => `/reg/${id}`));
    expect(published.get("/reg/d")?.["lt-age"]).toBeCloseTo(published.get("/reg/a")?.["lt-age"] as number);
    const before = rd.onDisk;
    expect(codeOf(ask("DELETE", "/reg/d"))).toBe("2.02");
    expect(rd.onDisk).toBe(before - 1);
    const removal = feed("ep", etag).patch.map(({ op, path }: { op: string; path: string }) => `${op} ${path}`);
    expect(removal).toContain("remove /registrations/~1reg~1d");
  });

  test("one on disk whose lifetime has ended is not published", async () => {
    const old = stored("old", { links: FAT, ltS: 60, renewedAtWallMs: WALL_MS });
    const { rd, world } = await started(250_000, [...all, old]);
    const { onDiskRegistrations: onDisk } = rd;
    expect(onDisk.get("/reg/old")).toMatchObject({ ep: "old", renewedAtMs: world.clock.nowMs() });
    expect([...onDisk.hrefs()]).toContain("/reg/old");
    await world.clock.advance(61_000);
    expect(onDisk.get("/reg/old")).toBeUndefined();
    expect(onDisk.get("/reg/unknown")).toBeUndefined();
  });

  test("it is brought back by its endpoint, at its old place, once there is room", async () => {
    const { ask, rd } = await started(250_000);
    expect(codeOf(ask("DELETE", "/reg/a"))).toBe("2.02");
    const left = rd.onDisk;
    const again = ask("POST", "/rd?ep=d", { payload: FAT });
    expect(again.locationPath).toEqual(["reg", "d"]);
    expect(rd.onDisk).toBe(left - 1);
  });

  test("and by itself, as room appears", async () => {
    const { ask, rd, world, lookup } = await started(250_000);
    const left = rd.onDisk;
    await world.clock.advance(30_000);
    await world.clock.settle();
    expect(rd.onDisk).toBe(left);
    expect(codeOf(ask("DELETE", "/reg/a"))).toBe("2.02");
    await world.clock.advance(30_000);
    await world.clock.settle();
    expect(rd.onDisk).toBe(left - 1);
    expect(lookup("ep", "ep=a")).toHaveLength(0);
  });

  test("with room for not even their names it starts all the same", async () => {
    const { rd, kept, ask } = await started(100);
    expect([rd.onDisk, kept.size]).toEqual([4, 4]);
    expect(codeOf(ask("POST", "/reg/c"))).toBe("5.03");
    expect(codeOf(ask("GET", "/reg/c"))).toBe("2.05");
  });

  test("the measure of what is kept grows with it", () => {
    expect(weight).toBeGreaterThan(FAT.length);
    const memory = new OwnMemory(new SharedLimit(1000), "local");
    expect(memory.refusal("x", 0)).toBeUndefined();
    expect(memory.refusal("x", 2000)).toMatch(/^no memory/);
  });
});
