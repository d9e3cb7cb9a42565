import { type Criterion, type Link, parseCriterion, parseLookupQuery } from "@tributary/link-model";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createDirectory } from "./directory.js";
import { MergeError } from "./errors.js";
import { covers, endpointLink, registrationMatches, resourceMatches } from "./matching.js";
import type { Directory, Registration, SourceChange, VisibleChange } from "./types.js";

function registration(href: string, ep: string, renewedAtMs = 0, more: Partial<Registration> = {}): Registration {
  const ltMs = more.ltMs ?? 90_000_000;
  return {
    href,
    ep,
    base: `coap://${ep}`,
    attributes: [],
    links: [{ target: `coap://${ep}/s`, attributes: [["rt", "temp sensor"]] }],
    ltMs,
    renewedAtMs,
    expiresAtMs: renewedAtMs + ltMs,
    expiry: "exact",
    ...more,
  };
}

function twoSources(): Directory {
  const directory = createDirectory();
  for (const name of ["a", "b"]) {
    directory.openSource(name, { authority: `coap://rd-${name}` });
    directory.setConnected(name, true, 0);
  }
  return directory;
}

function shown(directory: Directory, nowMs: number, ...items: string[]): string[] {
  const parsed = parseLookupQuery(items);
  if (!parsed.ok) throw new Error(parsed.message);
  return [...directory.lookup("ep", parsed.query, nowMs)].map(({ target }) => target);
}

describe("the merge rules", () => {
  test("LPX-06 of one endpoint at two RDs the one renewed last is shown, with its links", () => {
    const directory = twoSources();
    directory.put("a", registration("/reg/1", "n", 100, { links: [{ target: "coap://n/old", attributes: [] }] }), 100);
    directory.put("b", registration("/reg/9", "n", 200, { links: [{ target: "coap://n/new", attributes: [] }] }), 200);
    expect(shown(directory, 200)).toEqual(["coap://rd-b/reg/9"]);
    expect([...directory.lookup("res", { criteria: [], showProvenance: true }, 200)]).toEqual([
      { target: "coap://n/new", attributes: [["provenance", "coap://rd-b/reg/9"]] },
    ]);
  });

  test("LPX-07 a long lifetime does not beat a newer registration", () => {
    const directory = twoSources();
    directory.put("a", registration("/reg/1", "n", 100, { ltMs: 900_000_000 }), 100);
    directory.put("b", registration("/reg/9", "n", 200, { ltMs: 60_000 }), 200);
    expect(shown(directory, 200)).toEqual(["coap://rd-b/reg/9"]);
  });

  test("LPX-08 when the winner is removed or ends, the loser is shown again", () => {
    const directory = twoSources();
    directory.put("a", registration("/reg/1", "n", 100), 100);
    directory.put("b", registration("/reg/9", "n", 200, { ltMs: 60_000 }), 200);
    expect(shown(directory, 60_199)).toEqual(["coap://rd-b/reg/9"]);
    expect(shown(directory, 60_200)).toEqual(["coap://rd-a/reg/1"]);
  });

  test("LPX-08 a loser that is renewed later wins again", () => {
    const directory = twoSources();
    directory.put("a", registration("/reg/1", "n", 100), 100);
    directory.put("b", registration("/reg/9", "n", 200), 200);
    directory.renew("a", "/reg/1", { renewedAtMs: 300, expiresAtMs: 90_000_300 }, 300);
    expect(shown(directory, 300)).toEqual(["coap://rd-a/reg/1"]);
  });

  test("REG-03 LPX-06 with and without sector are different keys", () => {
    const directory = twoSources();
    directory.put("a", registration("/reg/1", "n", 100), 100);
    directory.put("b", registration("/reg/9", "n", 200, { d: "f" }), 200);
    expect(shown(directory, 200)).toHaveLength(2);
  });

  test("LPX-09 LPX-22 records of a lost source stay until they end, one by one", () => {
    const directory = twoSources();
    directory.put("a", registration("/reg/1", "n1", 0, { ltMs: 10_000 }), 0);
    directory.put("a", registration("/reg/2", "n2", 0, { ltMs: 20_000, expiry: "assumed" }), 0);
    directory.setConnected("a", false, 1000);
    expect(shown(directory, 9_999)).toHaveLength(2);
    expect(shown(directory, 10_000)).toEqual(["coap://rd-a/reg/2"]);
    expect(shown(directory, 20_000)).toEqual([]);
  });

  test("an assumed lifetime does not count while the source is connected", () => {
    const directory = twoSources();
    directory.put("a", registration("/reg/2", "n2", 0, { ltMs: 20_000, expiry: "assumed" }), 0);
    expect(shown(directory, 30_000)).toHaveLength(1);
    directory.setConnected("a", false, 30_000);
    expect(shown(directory, 30_000)).toEqual([]);
  });

  test("equal times go to the source with the smaller name", () => {
    const directory = twoSources();
    directory.put("b", registration("/reg/9", "n", 100), 100);
    directory.put("a", registration("/reg/1", "n", 100), 100);
    expect(shown(directory, 100)).toEqual(["coap://rd-a/reg/1"]);
  });

  test("a path that is given to another endpoint takes its old entry away", () => {
    const directory = twoSources();
    directory.put("a", registration("/reg/1", "n1", 0), 0);
    directory.put("a", registration("/reg/1", "n2", 10), 10);
    expect([...directory.select({ criteria: [], showProvenance: false }, 10)].map(({ ep }) => ep)).toEqual(["n2"]);
  });
});

describe("events", () => {
  function record(directory: Directory) {
    const visible: VisibleChange[] = [];
    const source: SourceChange[] = [];
    directory.on("visible", (change) => visible.push(change));
    directory.on("source", (change) => source.push(change));
    return { visible, source };
  }

  test("every eviction, return and end has its cause", () => {
    const directory = twoSources();
    const { visible } = record(directory);
    directory.put("a", registration("/reg/1", "n", 100), 100);
    directory.put("b", registration("/reg/9", "n", 200, { ltMs: 1000 }), 200);
    directory.renew("b", "/reg/9", { renewedAtMs: 300, expiresAtMs: 1300 }, 300);
    directory.expire(1300);
    directory.remove("a", "/reg/1", 1400);
    expect(visible.map(({ cause, before, after }) => [cause, before?.shownHref, after?.shownHref])).toEqual([
      ["registered", undefined, "coap://rd-a/reg/1"],
      ["superseded", "coap://rd-a/reg/1", "coap://rd-b/reg/9"],
      ["renewed", "coap://rd-b/reg/9", "coap://rd-b/reg/9"],
      ["returned", "coap://rd-b/reg/9", "coap://rd-a/reg/1"],
      ["removed", "coap://rd-a/reg/1", undefined],
    ]);
  });

  test("a source tells which half of a registration changed", () => {
    const directory = twoSources();
    const { source } = record(directory);
    const one = registration("/reg/1", "n", 100);
    directory.put("a", one, 100);
    directory.put("a", { ...one, renewedAtMs: 200, expiresAtMs: 300 }, 200);
    directory.put("a", { ...one, renewedAtMs: 200, expiresAtMs: 300 }, 200);
    directory.put("a", { ...one, links: [] }, 300);
    directory.put("a", { ...one, links: [], base: "coap://other" }, 400);
    expect(source.map(({ kind, endpointChanged, linksChanged }) => [kind, endpointChanged, linksChanged])).toEqual([
      ["added", true, true],
      ["renewed", false, false],
      ["replaced", false, true],
      ["replaced", true, false],
    ]);
  });

  test("a listener sees the change done", () => {
    const directory = twoSources();
    const seen: number[] = [];
    directory.on("visible", () => seen.push(shown(directory, 0).length));
    directory.on("source", () => seen.push(shown(directory, 0).length));
    directory.put("a", registration("/reg/1", "n"), 0);
    expect(seen).toEqual([1, 1]);
  });
});

describe("bounds and refusals", () => {
  test.each([
    {
      name: "an unknown source",
      act: (directory: Directory) => directory.put("x", registration("/r", "n"), 0),
      code: "UNKNOWN_SOURCE",
    },
    {
      name: "an absolute href",
      act: (directory: Directory) => directory.put("a", registration("coap://h/r", "n"), 0),
      code: "BAD_REGISTRATION",
    },
    {
      name: "a network-path href",
      act: (directory: Directory) => directory.put("a", registration("//h/r", "n"), 0),
      code: "BAD_REGISTRATION",
    },
    {
      name: "an empty endpoint name",
      act: (directory: Directory) => directory.put("a", registration("/r", ""), 0),
      code: "BAD_REGISTRATION",
    },
  ])("$name is refused", ({ act, code }) => {
    const directory = twoSources();
    expect(() => act(directory)).toThrow(expect.objectContaining({ code }));
    expect(directory.counts().total).toBe(0);
  });

  test("a full directory refuses new registrations and goes on renewing old ones", () => {
    const directory = createDirectory({ maxRegistrations: 1 });
    directory.openSource("a", { authority: null });
    directory.put("a", registration("/1", "n"), 0);
    expect(() => directory.put("a", registration("/2", "m"), 0)).toThrow(MergeError);
    directory.put("a", registration("/1", "n", 5), 5);
    expect(directory.get("a", "/1")?.renewedAtMs).toBe(5);
    directory.remove("a", "/1", 6);
    directory.put("a", registration("/2", "m"), 7);
    expect(directory.counts()).toMatchObject({ total: 1, visible: 1, stale: 1 });
  });

  test("a hundred thousand renewals leave no garbage behind", () => {
    const directory = twoSources();
    directory.put("a", registration("/1", "n", 0, { ltMs: 10 }), 0);
    for (let nowMs = 1; nowMs <= 100_000; nowMs++) {
      directory.renew("a", "/1", { renewedAtMs: nowMs, expiresAtMs: nowMs + (nowMs % 7) + 1 }, nowMs);
    }
    expect(directory.expire(100_000)).toBe(0);
    expect(directory.nextExpiryMs()).toBeGreaterThan(100_000);
    expect(directory.expire(200_000)).toBe(1);
    expect(directory.nextExpiryMs()).toBeUndefined();
  });
});

describe("what lookups show", () => {
  test("LKP-02 an endpoint link has its attributes and never a lifetime", () => {
    const one = {
      ...registration("/r", "n", 0, {
        d: "f",
        attributes: [
          ["et", "x"],
          ["et", "y"],
          ["lt", "5"],
          ["lt-age", "1"],
          ["flag", null],
        ],
      }),
      source: "a",
      shownHref: "/r",
    };
    expect(endpointLink(one)).toEqual({
      target: "/r",
      attributes: [
        ["ep", "n"],
        ["d", "f"],
        ["base", "coap://n"],
        ["rt", "core.rd-ep"],
        ["et", "x"],
        ["et", "y"],
        ["flag", null],
      ],
    });
  });

  test("PRV-01 PRV-02 PRV-06 provenance is shown on request only and cannot be forged", () => {
    const directory = twoSources();
    directory.put(
      "a",
      registration("/1", "n", 0, {
        links: [
          {
            target: "coap://n/s",
            attributes: [
              ["provenance", "/forged"],
              ["rt", "x"],
            ],
          },
        ],
      }),
      0,
    );
    const links = (showProvenance: boolean) => [...directory.lookup("res", { criteria: [], showProvenance }, 0)];
    expect(links(false)).toEqual([{ target: "coap://n/s", attributes: [["rt", "x"]] }]);
    expect(links(true)).toEqual([
      {
        target: "coap://n/s",
        attributes: [
          ["rt", "x"],
          ["provenance", "coap://rd-a/1"],
        ],
      },
    ]);
    expect([
      ...directory.lookup("res", { criteria: [parseCriterion("provenance=/*")], showProvenance: true }, 0),
    ]).toEqual([]);
  });

  test("LKP-34 a link-local registration is shown only on its link", () => {
    const directory = twoSources();
    directory.put("a", registration("/1", "n", 0, { zone: "eth0" }), 0);
    const query = { criteria: [], showProvenance: false };
    expect([...directory.lookup("ep", query, 0)]).toHaveLength(0);
    expect([...directory.lookup("ep", query, 0, { zone: "eth1" })]).toHaveLength(0);
    expect([...directory.lookup("ep", query, 0, { zone: "eth0" })]).toHaveLength(1);
  });

  test("a change of the RD's address moves the hrefs along, in the index too", () => {
    const directory = twoSources();
    directory.put("a", registration("/1", "n"), 0);
    directory.openSource("a", { authority: "coap://moved" });
    expect(shown(directory, 0, "href=coap://moved/1")).toEqual(["coap://moved/1"]);
    expect(shown(directory, 0, "href=coap://rd-a/1")).toEqual([]);
  });
});

/* Properties against a naive model: all records in a list, everything computed from scratch. */

const endpointNames = ["n1", "n2", "n3"];
const sources = ["a", "b", "c"];
const links = fc.array(
  fc.record({
    target: fc.constantFrom("coap://n/1", "coap://n/2", "coap://m/1"),
    attributes: fc.array(
      fc.tuple(fc.constantFrom("rt", "ct", "ep"), fc.constantFrom("x", "x y", "xz", "n1", "", null)),
      { maxLength: 2 },
    ),
  }) as fc.Arbitrary<Link>,
  { maxLength: 3 },
);
const put = fc.record({
  do: fc.constant("put" as const),
  source: fc.constantFrom(...sources),
  href: fc.constantFrom("/1", "/2", "/3"),
  ep: fc.constantFrom(...endpointNames),
  d: fc.constantFrom(undefined, "f", "g"),
  renewedAtMs: fc.integer({ min: 0, max: 30 }),
  ltMs: fc.integer({ min: 1, max: 60 }),
  expiry: fc.constantFrom("exact" as const, "assumed" as const),
  links,
});
const action = fc.oneof(
  { weight: 6, arbitrary: put },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("renew" as const),
      source: fc.constantFrom(...sources),
      href: fc.constantFrom("/1", "/2", "/3"),
      renewedAtMs: fc.integer({ min: 0, max: 40 }),
      ltMs: fc.integer({ min: 1, max: 60 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("remove" as const),
      source: fc.constantFrom(...sources),
      href: fc.constantFrom("/1", "/2", "/3"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("connect" as const),
      source: fc.constantFrom(...sources),
      on: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("close" as const), source: fc.constantFrom(...sources) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 20 }) }) },
);

class NaiveModel {
  nowMs = 0;
  readonly connected = new Map(sources.map((name) => [name, true]));
  readonly records = new Map<string, Registration & { source: string }>();

  settle(): void {
    for (const [key, record] of this.records) {
      if (record.expiresAtMs <= this.nowMs && (record.expiry === "exact" || !this.connected.get(record.source)))
        this.records.delete(key);
    }
  }

  winners() {
    this.settle();
    const byKey = new Map<string, Registration & { source: string }>();
    for (const record of this.records.values()) {
      const key = JSON.stringify([record.ep, record.d ?? null]);
      const best = byKey.get(key);
      const order = (r: typeof record) => [-r.renewedAtMs, r.source, r.href] as const;
      if (best === undefined || lexicographic(order(record), order(best)) < 0) byKey.set(key, record);
    }
    return [...byKey.values()].map((record) => ({ ...record, shownHref: `coap://rd-${record.source}${record.href}` }));
  }
}

function lexicographic(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  for (let index = 0; index < a.length; index++) {
    const [x, y] = [a[index] as string, b[index] as string];
    if (x !== y) return x < y ? -1 : 1;
  }
  return 0;
}

function play(actions: readonly fc.TypeOfArbitrary<typeof action>[], directory: Directory, model: NaiveModel): void {
  for (const one of actions) {
    model.settle();
    if (one.do === "put") {
      const { do: _, d, ...rest } = one;
      const record = registration(one.href, one.ep, one.renewedAtMs, {
        ...rest,
        ...(d === undefined ? {} : { d }),
        expiresAtMs: one.renewedAtMs + one.ltMs,
      });
      directory.put(one.source, record, model.nowMs);
      model.records.set(one.source + one.href, { ...record, source: one.source });
    } else if (one.do === "renew") {
      const times = { renewedAtMs: one.renewedAtMs, expiresAtMs: one.renewedAtMs + one.ltMs };
      directory.expire(model.nowMs);
      const known = model.records.get(one.source + one.href);
      expect(directory.renew(one.source, one.href, times, model.nowMs)).toBe(known !== undefined);
      if (known) model.records.set(one.source + one.href, { ...known, ...times });
    } else if (one.do === "remove") {
      directory.remove(one.source, one.href, model.nowMs);
      model.records.delete(one.source + one.href);
    } else if (one.do === "connect") {
      directory.setConnected(one.source, one.on, model.nowMs);
      model.connected.set(one.source, one.on);
    } else if (one.do === "close") {
      directory.closeSource(one.source, model.nowMs);
      directory.openSource(one.source, { authority: `coap://rd-${one.source}` });
      directory.setConnected(one.source, true, model.nowMs);
      model.connected.set(one.source, true);
      for (const key of [...model.records.keys()]) if (key.startsWith(one.source)) model.records.delete(key);
    } else model.nowMs += one.ms;
  }
}

function threeSources(): Directory {
  const directory = createDirectory();
  for (const name of sources) {
    directory.openSource(name, { authority: `coap://rd-${name}` });
    directory.setConnected(name, true, 0);
  }
  return directory;
}

const criterion = fc
  .tuple(
    fc.constantFrom("ep", "d", "rt", "ct", "href", "base", "no"),
    fc.constantFrom("", "x", "x y", "n", "n1", "f", "coap://n", "coap://n/1", "coap://rd-a/1", "core"),
    fc.boolean(),
  )
  .map(([name, value, star]): Criterion => parseCriterion(`${name}=${value}${star ? "*" : ""}`));

describe("properties", () => {
  test("LPX-05 the union is what a naive model computes from the records that live, and the index finds what a scan finds", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), fc.array(criterion, { maxLength: 3 }), (actions, criteria) => {
        const directory = threeSources();
        const model = new NaiveModel();
        play(actions.slice(0, 20), directory, model);
        // A first query in the middle makes the sorted lists, which then have to follow the changes.
        [...directory.lookup("ep", { criteria, showProvenance: false }, model.nowMs)];
        play(actions.slice(20), directory, model);
        const winners = model.winners();
        const endpoints = [...directory.lookup("ep", { criteria, showProvenance: false }, model.nowMs)].map(
          ({ target }) => target,
        );
        expect([...endpoints].sort()).toEqual(
          winners
            .filter((one) => registrationMatches(criteria, one))
            .map(({ shownHref }) => shownHref)
            .sort(),
        );
        const resources = [...directory.lookup("res", { criteria, showProvenance: true }, model.nowMs)];
        expect(resources).toHaveLength(
          winners.flatMap((one) => one.links.filter((link) => resourceMatches(criteria, one, link))).length,
        );
        expect(directory.counts()).toMatchObject({ total: model.records.size, visible: winners.length });
      }),
      { numRuns: 1000 },
    );
  });

  test("the order in which records arrive does not matter", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(put, { maxLength: 9, selector: ({ source, href }) => source + href }),
        fc.infiniteStream(fc.nat()),
        (puts, random) => {
          const answers = [
            puts,
            [...puts]
              .map((one) => ({ one, at: random.next().value as number }))
              .sort((a, b) => a.at - b.at)
              .map(({ one }) => one),
          ].map((order) => {
            const directory = threeSources();
            play(order, directory, new NaiveModel());
            return [...directory.lookup("res", { criteria: [], showProvenance: true }, 0)];
          });
          expect(answers[0]).toEqual(answers[1]);
        },
      ),
    );
  });

  test("LKP-26 pages are disjoint and together are everything", () => {
    fc.assert(
      fc.property(
        fc.array(put, { maxLength: 12 }),
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom("ep" as const, "res" as const),
        (puts, count, kind) => {
          const directory = threeSources();
          play(puts, directory, new NaiveModel());
          const all = [...directory.lookup(kind, { criteria: [], showProvenance: false }, 0)];
          const pages: Link[] = [];
          for (let page = 0; page * count < all.length + count; page++)
            pages.push(...directory.lookup(kind, { criteria: [], page, count, showProvenance: false }, 0));
          expect(pages).toEqual(all);
        },
      ),
    );
  });

  test("LPX-13 coverage never claims too much", () => {
    fc.assert(
      fc.property(
        fc.array(criterion, { maxLength: 2 }),
        fc.array(criterion, { maxLength: 3 }),
        put,
        (filter, criteria, one) => {
          fc.pre(covers(filter, criteria));
          const { d, ...rest } = one;
          const record = {
            ...registration(one.href, one.ep, 0, { links: rest.links, ...(d === undefined ? {} : { d }) }),
            source: "a",
            shownHref: `coap://rd-a${one.href}`,
          };
          if (registrationMatches(criteria, record)) expect(registrationMatches(filter, record)).toBe(true);
          for (const link of record.links) {
            if (resourceMatches(criteria, record, link)) expect(registrationMatches(filter, record)).toBe(true);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
