import { createVirtualClock, seededRandom } from "@tributary/runtime/testing";
import { describe, expect, test } from "vitest";
import { GlobalLookupError } from "../errors.js";
import { generateAnnouncerKey } from "../record/announcer-key.js";
import { nameKey } from "../record/name-key.js";
import { readRecord } from "../record/rd-record.js";
import { NameAnnouncer } from "./name-announcer.js";
import { RecordPublisher } from "./record-publisher.js";

function setUp(options = { perSecond: 10, refreshMs: 60_000 }) {
  const clock = createVirtualClock();
  const log: string[] = [];
  const warnings: string[] = [];
  const logger = { debug() {}, info() {}, error() {}, warn: (message: string) => void warnings.push(message) };
  const env = { clock, random: seededRandom(1), logger };
  const state = { isAway: false };
  const names = new Map(Array.from({ length: 2000 }, (_, index) => [hex(`n${index}`), `n${index}`]));
  const act = (verb: string) => async (key: Uint8Array) => {
    if (state.isAway) throw new GlobalLookupError("POOL_AWAY", "away");
    log.push(`${clock.nowMs()} ${verb} ${names.get(Buffer.from(key).toString("hex"))}`);
  };
  const announcer = new NameAnnouncer({ pool: { announce: act("+"), withdraw: act("-") }, env }, options);
  return { clock, env, log, warnings, announcer, state };
}

function hex(name: string): string {
  return Buffer.from(nameKey(name)).toString("hex");
}

describe("announcements of names", () => {
  test("they keep an even pace, and are repeated before they end", async () => {
    const { clock, log, announcer } = setUp();
    for (const name of ["n0", "n1", "n2"]) announcer.add(name);
    await clock.advance(1000);
    expect(log).toEqual([]);
    announcer.start();
    await clock.advance(1000);
    expect(log).toEqual(["1000 + n0", "1100 + n1", "1200 + n2"]);
    await clock.advance(60_000);
    expect(log.slice(3)).toEqual(["61000 + n0", "61100 + n1", "61200 + n2"]);
  });

  test("names beyond what the pace can repeat are refused, counted, and logged once", async () => {
    const { clock, warnings, announcer, log } = setUp();
    for (let index = 0; index < 700; index++) announcer.add(`n${index}`);
    expect([announcer.size, announcer.outcomes.get("refused"), warnings.length]).toEqual([600, 100, 1]);
    announcer.start();
    await clock.advance(600_000);
    const byName = new Map<string, string[]>();
    for (const line of log) {
      const name = line.split(" ")[2] ?? "";
      byName.set(name, [...(byName.get(name) ?? []), line]);
    }
    const gaps = [...byName.values()].flatMap((lines) =>
      lines.slice(1).map((line, index) => Number.parseInt(line, 10) - Number.parseInt(lines[index] ?? "", 10)),
    );
    expect(byName.size).toBe(600);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(60_200);
  });

  test("what is removed is withdrawn, unless it was never announced", async () => {
    const { clock, log, announcer } = setUp();
    announcer.start();
    announcer.add("n0");
    await clock.advance(100);
    announcer.add("n1");
    announcer.remove("n1");
    announcer.remove("n0");
    await clock.advance(1000);
    expect(log).toEqual(["0 + n0", "100 - n0"]);
    expect(announcer.size).toBe(0);
    await clock.advance(200_000);
    expect(log).toHaveLength(2);
  });

  test("a name that is removed while it is announced is withdrawn afterwards", async () => {
    const { clock, log, announcer } = setUp();
    announcer.add("n0");
    announcer.start();
    const announcing = clock.advance(100);
    await clock.runUntil(() => log.length === 1);
    announcer.remove("n0");
    await announcing;
    await clock.advance(1000);
    expect(log.map((line) => line.split(" ")[1])).toEqual(["+", "-"]);
  });

  test("while the pool is away, announcements are tried again", async () => {
    const { clock, log, announcer, state } = setUp();
    state.isAway = true;
    announcer.add("n0");
    announcer.start();
    await clock.advance(40_000);
    expect(announcer.outcomes.get("failed")).toBe(2);
    state.isAway = false;
    await clock.advance(30_000);
    expect(log.length).toBe(1);
  });

  test("after the end nothing is announced", async () => {
    const { clock, log, announcer } = setUp();
    announcer.add("n0");
    announcer.start();
    announcer.close();
    await clock.advance(200_000);
    expect([log, clock.pending]).toEqual([[], 0]);
  });
});

describe("the record of this node", () => {
  test("it is published again before it ends, with a higher sequence, and void at the end", async () => {
    const { clock, env } = setUp();
    const key = generateAnnouncerKey();
    const published: ReturnType<typeof readRecord>[] = [];
    const sequences: number[] = [];
    const publish = async (record: Uint8Array, sequence: number) => {
      published.push(readRecord(record, key.publicKey, clock.wallMs() / 1000));
      sequences.push(sequence);
    };
    const publisher = new RecordPublisher({ pool: { publish }, env, key }, () => ["coap://192.0.2.1"]);
    await publisher.start();
    await clock.advance(600_000);
    clock.jumpWall(-86_400_000);
    await publisher.close();
    expect(published.map((read) => (read.ok ? read.record.uris : read.cause))).toEqual([
      ["coap://192.0.2.1"],
      ["coap://192.0.2.1"],
      "withdrawn",
    ]);
    expect([...new Set(sequences)].sort()).toEqual(sequences);
    await clock.advance(3_600_000);
    expect(published).toHaveLength(3);
  });
});
