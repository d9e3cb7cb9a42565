/** The judges of the fault runs: each must notice what it is there for. */
import { describe, expect, test } from "vitest";
import { differences, losses } from "./agreement.js";
import { amnesia, type Held, heldBy, type JournalEntry, type Life, possibleSpans } from "./journal.js";
import { planFaults } from "./plan.js";
import { judgeLookups, linksDigest, overdue, type Sighting, View } from "./sightings.js";

const RD = "rdb";
const HREF = "coap://[2001:db8:f::2]/reg/1";
const OTHER_HREF = "coap://[2001:db8:f::3]/reg/9";

function exchange(at: number, op: "register" | "renew" | "remove" = "register", ltS = 10) {
  return { sentMs: at, atMs: at + 10, op, ep: "steady1", rd: RD, ltS, edition: 1, href: HREF } as const;
}

const acknowledged = (...args: Parameters<typeof exchange>): JournalEntry => ({
  kind: "acknowledged",
  ...exchange(...args),
});
const silent = (...args: Parameters<typeof exchange>): JournalEntry => ({ kind: "silent", ...exchange(...args) });
const notFound = (...args: Parameters<typeof exchange>): JournalEntry => ({
  kind: "refused",
  code: "4.04",
  ...exchange(...args),
});

function life(startedMs: number, isEmpty: boolean, killedMs = Number.POSITIVE_INFINITY): Life {
  return { startedMs, readyMs: startedMs + 100, killedMs, isEmpty };
}

describe("what the endpoints hold", () => {
  test.each([
    { name: "what was acknowledged", journal: [acknowledged(0)], want: [HREF] },
    { name: "not what was removed", journal: [acknowledged(0), acknowledged(100, "remove")], want: [] },
    { name: "not what may have been removed", journal: [acknowledged(0), silent(100, "remove")], want: [] },
    { name: "not what the RD does not know", journal: [acknowledged(0), notFound(100, "renew")], want: [] },
    {
      name: "still what a renewal without answer was about",
      journal: [acknowledged(0), silent(100, "renew")],
      want: [HREF],
    },
    {
      name: "not what the endpoint left behind",
      journal: [acknowledged(0), { kind: "left", atMs: 50, ep: "steady1" } as const],
      want: [],
    },
  ])("$name", ({ journal, want }) => {
    expect([...heldBy(journal).values()].map(({ href }) => href)).toEqual(want);
  });
});

describe("overdue entries", () => {
  const spans = possibleSpans([acknowledged(1000), silent(5000, "renew"), acknowledged(40_000)]);
  /** Listed every 500 ms, from the first sight on, the last time at `lastMs`. */
  const shown = (fromMs: number, lastMs: number, tookMs = 5): Sighting[] => [
    { kind: "shown", atMs: fromMs, ep: "steady1", href: HREF },
    ...Array.from({ length: 200 }, (_, index) => fromMs + 500 * index)
      .filter((atMs) => atMs < lastMs)
      .concat(lastMs)
      .map((atMs) => ({ kind: "listed", atMs, tookMs }) as const),
    { kind: "gone", lastMs, ep: "steady1", href: HREF },
  ];

  test("a request without answer may have renewed, up to the moment at which it was given up", () => {
    expect(spans.get(`${RD} steady1`)).toEqual([
      { fromMs: 1000, untilMs: 15_010 },
      { fromMs: 40_000, untilMs: 50_010 },
    ]);
  });

  test.each([
    { name: "within the lifetime", from: 1100, last: 15_000, byMs: [] },
    { name: "after it", from: 1100, last: 18_010, byMs: [3000] },
    { name: "back without a renewal", from: 20_010, last: 25_010, byMs: [10_000] },
    { name: "through the gap into the next", from: 1100, last: 45_000, byMs: [24_590] },
    { name: "in the second", from: 40_100, last: 50_000, byMs: [] },
  ])("$name", ({ from, last, byMs }) => {
    expect(overdue("lpy", shown(from, last), spans, last).map((one) => one.byMs)).toEqual(byMs);
  });

  test("what a slow lookup shows may have been so at its end only", () => {
    expect(overdue("lpy", shown(38_000, 38_000, 2500), spans, 38_000)).toEqual([]);
    expect(overdue("lpy", shown(38_000, 38_000, 1500), spans, 38_000)).toHaveLength(1);
  });

  test("an entry that nobody asked for", () => {
    expect(overdue("lpy", shown(0, 10), new Map(), 10)).toMatchObject([{ byMs: Number.POSITIVE_INFINITY }]);
  });

  test("one that is still shown at the end", () => {
    expect(overdue("lpy", shown(1100, 20_010).slice(0, -1), spans, 20_010)).toMatchObject([{ byMs: 5000 }]);
  });
});

describe("lookups", () => {
  const asked = (sentMs: number, code?: string): Sighting => ({
    kind: "asked",
    sentMs,
    tookMs: 5,
    ...(code === undefined ? {} : { code }),
  });
  const lives = [life(0, true, 20_000), life(30_000, true)];
  const judged = (...sightings: Sighting[]) => judgeLookups("lpy", sightings, lives, 5000);

  test.each([
    { name: "an answer", sighting: asked(1000, "2.05"), want: 0 },
    { name: "silence of one that is up", sighting: asked(1000), want: 1 },
    { name: "silence of one that is killed while it is asked", sighting: asked(16_000), want: 0 },
    { name: "silence of one that is down", sighting: asked(25_000), want: 0 },
    { name: "another code", sighting: asked(1000, "5.00"), want: 1 },
    { name: "5.04 before anything is known", sighting: asked(1000, "5.04"), want: 0 },
  ])("$name", ({ sighting, want }) => {
    expect(judged(sighting).faults).toHaveLength(want);
  });

  test("5.04 of one with a complete copy, until it is started again", () => {
    const wise: Sighting = { kind: "status", atMs: 500, complete: 1 };
    expect(judged(wise, asked(1000, "5.04")).faults).toHaveLength(1);
    expect(judged(wise, asked(31_000, "5.04")).faults).toHaveLength(0);
  });
});

describe("agreement", () => {
  const held = heldBy([acknowledged(0)]);
  const spans = possibleSpans([acknowledged(0)]);
  const view = (...sightings: Sighting[]): View => {
    const result = new View();
    for (const sighting of [...sightings, { kind: "swept", atMs: 20_000, endpoints: 1 } as const])
      result.apply(sighting);
    return result;
  };
  const shown = (href: string): Sighting => ({ kind: "shown", atMs: 0, ep: "steady1", href });
  const links = (digest: string): Sighting => ({ kind: "links", ep: "steady1", digest });

  test.each([
    { name: "the same", seen: view(shown(HREF), links(linksDigest(HREF, 1))), want: 0 },
    { name: "nothing", seen: view(), want: 1 },
    { name: "at another RD", seen: view(shown(OTHER_HREF), links(linksDigest(OTHER_HREF, 1))), want: 1 },
    { name: "with old links", seen: view(shown(HREF), links(linksDigest(HREF, 0))), want: 1 },
    {
      name: "with links of two registrations",
      seen: view(shown(HREF), links(`${HREF} 1 2, ${OTHER_HREF} 1 2`)),
      want: 1,
    },
  ])("$name", ({ seen, want }) => {
    expect(differences(seen, { held, spans })).toHaveLength(want);
  });

  test("an entry that is not held may be there until it ends, and not afterwards", () => {
    const seen = view(shown(HREF));
    expect(differences(seen, { held: new Map(), spans })).toHaveLength(1);
    expect(differences(seen, { held: new Map(), spans: possibleSpans([acknowledged(15_000)]) })).toEqual([]);
  });
});

describe("what RDs forget", () => {
  test("a loss is expected of a sleeper alone, and of an RD that forgot after it had acknowledged", () => {
    const of = (ep: string): Held => ({ ep, rd: RD, href: HREF, ltS: 10, edition: 1, acknowledgedMs: 100 });
    const held = new Map(["sleeper1", "sleeper2", "steady1"].map((ep) => [ep, of(ep)]));
    const reads = new Map([
      ["sleeper1", "4.04"],
      ["sleeper2", "2.05"],
      ["steady1", "4.04"],
    ]);
    expect(losses(held, reads, () => false)).toEqual({ lost: ["sleeper1", "steady1"], expected: [] });
    expect(losses(held, reads, () => true).expected).toEqual(["sleeper1", "sleeper2"]);
  });

  test.each([
    { name: "by an RD that has lost nothing", lives: [life(-500, true)], at: 5000, want: [1, 1] },
    {
      name: "by one that registered again since",
      lives: [life(-500, true, 1000), life(2000, true)],
      at: 5000,
      want: [1, 0],
    },
    {
      name: "by one that was restarted with its store",
      lives: [life(-500, true, 1000), life(2000, false)],
      at: 5000,
      want: [1, 1],
    },
    { name: "after the lifetime", lives: [life(-500, true)], at: 10_100, want: [0, 0] },
  ])("4.04 $name", ({ lives, at, want }) => {
    const { total, unexplained } = amnesia([acknowledged(0), notFound(at, "renew")], new Map([[RD, lives]]));
    expect([total, unexplained.length]).toEqual(want);
  });
});

describe("plans", () => {
  const options = { seed: 7, durationMs: 60_000, longestMs: 5000, isKept: true };

  test("the same seed gives the same plan, another one another", () => {
    expect(planFaults(options)).toEqual(planFaults(options));
    expect(planFaults(options)).not.toEqual(planFaults({ ...options, seed: 8 }));
  });

  test.each(Array.from({ length: 20 }, (_, seed) => ({ seed })))(
    "seed $seed: every kind, and no host twice at once",
    ({ seed }) => {
      const plan = planFaults({ ...options, seed, durationMs: 1000 });
      expect(new Set(plan.map(({ fault }) => fault.kind)).size).toBe(5);
      const kills = plan.filter(({ fault }) => fault.kind === "kill");
      for (const one of kills)
        for (const other of kills)
          if (one !== other && "host" in one.fault && "host" in other.fault && one.fault.host === other.fault.host)
            expect(one.endMs <= other.startMs || other.endMs <= one.startMs).toBe(true);
    },
  );
});
