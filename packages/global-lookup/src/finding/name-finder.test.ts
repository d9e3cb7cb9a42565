import { type ClientRequest, type ClientResponse, CODE, TransportError } from "@tributary/coap-transport";
import { createVirtualClock, seededRandom } from "@tributary/runtime/testing";
import { describe, expect, test } from "vitest";
import { GlobalLookupError } from "../errors.js";
import { createAddressPolicy } from "../record/address-policy.js";
import { type AnnouncerKey, generateAnnouncerKey } from "../record/announcer-key.js";
import { writeRecord } from "../record/rd-record.js";
import { NameFinder } from "./name-finder.js";

type Conduct = "serves" | "empty" | "nonsense" | "silent" | "leads-astray" | "error";

/** A pool of RDs that all announce every name, in virtual time. */
class World {
  readonly clock = createVirtualClock();
  readonly asked: string[] = [];
  readonly rds: { key: AnnouncerKey; uri: string; conduct: Conduct; record: () => Uint8Array | null }[] = [];
  readonly finder: NameFinder;
  isAway = false;
  /** Time that the pool takes to end its search. */
  endsAfterMs = 0;
  finds = 0;
  maxAgeS = 60;

  constructor() {
    const { clock } = this;
    const logger = { debug() {}, info() {}, warn() {}, error() {} };
    const env = { clock, random: seededRandom(1), logger };
    const deps = {
      env,
      isUsable: createAddressPolicy([]),
      pool: { find: () => this.#find(), readRecord: async (announcer: Uint8Array) => this.#record(announcer) },
      client: { request: (request: ClientRequest, { timeoutMs = 0 } = {}) => this.#respond(request, timeoutMs) },
    };
    this.finder = new NameFinder(deps, { timeoutMs: 2000, ownKey: generateAnnouncerKey().publicKey });
  }

  add(conduct: Conduct, uri = `coap://192.0.2.${this.rds.length + 1}`): this {
    const key = generateAnnouncerKey();
    const expiresAtS = this.clock.wallMs() / 1000 + 80_000;
    this.rds.push({ key, uri, conduct, record: () => writeRecord(key, { sequence: 1, expiresAtS, uris: [uri] }) });
    return this;
  }

  /** Performs one search, and returns what came of it and how long it took. */
  async find(name = "n") {
    const startMs = this.clock.nowMs();
    let tookMs = 0;
    const found = this.finder.find(name, "c").finally(() => {
      tookMs = this.clock.nowMs() - startMs;
    });
    await this.clock.advance(5000);
    return { ...(await found), tookMs };
  }

  async *#find() {
    this.finds++;
    if (this.isAway) throw new GlobalLookupError("POOL_AWAY", "nobody of the pool responds");
    for (const { key } of this.rds) yield key.publicKey;
    await this.#sleep(this.endsAfterMs);
  }

  #record(announcer: Uint8Array): Uint8Array | null {
    return this.rds.find(({ key }) => Buffer.from(key.publicKey).equals(announcer))?.record() ?? null;
  }

  async #respond({ uri, query = [] }: ClientRequest, timeoutMs: number): Promise<ClientResponse> {
    const origin = uri.replace("/rd-lookup/ep", "");
    this.asked.push(origin);
    const conduct = this.rds.find((rd) => rd.uri === origin)?.conduct ?? "silent";
    await this.#sleep(conduct === "silent" ? timeoutMs : 5);
    if (conduct === "silent") throw new TransportError("TIMEOUT", "no response");
    const base = conduct === "leads-astray" ? "coap://127.0.0.1" : `${origin}:10123`;
    const texts: Partial<Record<Conduct, string>> = { empty: "", nonsense: "<<<", error: "" };
    const text = texts[conduct] ?? `</reg/1>;${query[0]?.replace("=", '="')}";base="${base}";rt="core.rd-ep"`;
    return {
      code: conduct === "error" ? CODE.INTERNAL : CODE.CONTENT,
      contentFormat: 40,
      maxAgeS: this.maxAgeS,
      locationPath: [],
      locationQuery: [],
      options: [],
      payload: new TextEncoder().encode(text),
      peer: { address: "192.0.2.1", port: 5683, key: "", transport: "udp" },
      wireBytes: 100,
    };
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.setTimer(ms, resolve));
  }
}

describe("finding an endpoint by name", () => {
  test("the RD that announced it is asked, and its references become absolute", async () => {
    const found = await new World().add("serves").find();
    expect(found).toMatchObject({ kind: "found", maxAgeS: 60, isCached: false });
    expect(found.kind === "found" && found.links).toEqual([
      {
        target: "coap://192.0.2.1/reg/1",
        attributes: [
          ["ep", "n"],
          ["base", "coap://192.0.2.1:10123"],
          ["rt", "core.rd-ep"],
        ],
      },
    ]);
  });

  test("it is kept for as long as the RD says, and searched again afterwards", async () => {
    const world = new World().add("serves");
    await world.find();
    expect(await world.find()).toMatchObject({ kind: "found", isCached: true, tookMs: 0 });
    await world.clock.advance(60_000);
    expect(await world.find()).toMatchObject({ kind: "found", isCached: false });
    expect(world.asked).toHaveLength(2);
  });

  test("equal searches at the same time are one", async () => {
    const world = new World().add("serves");
    await Promise.all([world.find(), world.find(), world.find()]);
    expect([world.finds, world.asked.length]).toEqual([1, 1]);
  });

  test("a name that nobody announces is found nowhere, which is kept for a moment", async () => {
    const world = new World();
    expect(await world.find()).toMatchObject({ kind: "none", maxAgeS: 5 });
    await world.find();
    expect(world.finds).toBe(2);
  });

  test("without the pool nobody can say", async () => {
    const world = new World().add("serves");
    world.isAway = true;
    expect(await world.find()).toMatchObject({ kind: "failed", reason: "nobody of the pool responds" });
  });

  test.each(["silent", "nonsense", "leads-astray", "error"] as const)(
    "an RD that is %s ends in a failure within 2 s",
    async (conduct) => {
      const { kind, tookMs } = await new World().add(conduct).find();
      expect(kind).toBe("failed");
      expect(tookMs).toBeLessThanOrEqual(2000);
    },
  );

  test("a pool that does not end its search does not hold up what was found", async () => {
    const world = new World().add("serves");
    world.endsAfterMs = 60_000;
    const { kind, tookMs } = await world.find();
    expect(kind).toBe("found");
    expect(tookMs).toBeLessThanOrEqual(50);
  });

  test("three RDs are asked at once, and the dead ones hold nothing up", async () => {
    const { kind, tookMs } = await new World().add("silent").add("silent").add("serves").find();
    expect(kind).toBe("found");
    expect(tookMs).toBeLessThanOrEqual(50);
  });

  test("DHT-03 when the holders asked first are gone, the next ones are", async () => {
    const world = new World();
    for (let index = 0; index < 4; index++) world.add("silent");
    const { kind, tookMs } = await world.add("serves").find();
    expect(kind).toBe("found");
    expect(tookMs).toBeLessThan(2000);
    expect(world.asked).toHaveLength(5);
  });

  test("those that failed are asked last", async () => {
    const world = new World().add("nonsense").add("empty").add("serves").add("leads-astray");
    for (let index = 0; index < 100; index++) expect((await world.find(`n${index}`)).kind).toBe("found");
    const others = world.asked.filter((uri) => uri !== "coap://192.0.2.3").length;
    expect(others / world.asked.length).toBeLessThan(0.1);
  });

  test("a record that points to a service of this host is not followed", async () => {
    const world = new World().add("serves", "coap://127.0.0.1").add("serves", "coap://169.254.169.254");
    expect((await world.find()).kind).toBe("failed");
    expect(world.asked).toEqual([]);
    expect([...world.finder.records.rejected]).toEqual([["address", 2]]);
  });

  test("somebody else is not flooded by records that point to him", async () => {
    const world = new World();
    for (let index = 0; index < 20; index++) world.add("silent", "coap://198.51.100.7");
    for (let index = 0; index < 50; index++) void world.finder.find(`n${index}`, `c${index}`);
    await world.clock.advance(2000);
    // 5 at once, and one a second.
    expect(world.asked.length).toBeLessThanOrEqual(7);
  });

  test("an RD that responds well is asked as often as there is something to ask", async () => {
    const world = new World().add("serves");
    const kinds = new Set<string>();
    for (let index = 0; index < 50; index++) {
      const found = world.finder.find(`n${index}`, `c${index}`);
      await world.clock.advance(6);
      kinds.add((await found).kind);
    }
    expect([...kinds]).toEqual(["found"]);
  });

  test("a client gets no more searches than its share, and what is known all the same", async () => {
    const world = new World().add("serves");
    const kinds: string[] = [];
    for (let index = 0; index < 400; index++) {
      const found = world.finder.find(`n${index}`, "greedy");
      await world.clock.advance(5);
      kinds.push((await found).kind);
    }
    expect(kinds.filter((kind) => kind === "limited").length).toBeGreaterThan(0);
    const [known, other] = [world.finder.find("n0", "greedy"), world.finder.find("n400", "other")];
    await world.clock.advance(5);
    expect([(await known).kind, (await other).kind]).toEqual(["found", "found"]);
  });

  test("searches at the same time are bounded", async () => {
    const world = new World().add("silent");
    const found = Array.from({ length: 300 }, (_, index) => world.finder.find(`n${index}`, `c${index}`));
    await world.clock.advance(5000);
    const kinds = (await Promise.all(found)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "busy")).toHaveLength(44);
  });
});
