import type { Link } from "@tributary/link-model";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { directoryOf, registration } from "./testing/directories.js";
import { MergeModel } from "./testing/merge-model.js";
import type { Directory, SourcedRegistration } from "./types.js";

type ValueOf<A> = A extends fc.Arbitrary<infer T> ? T : never;

const SOURCES = ["a", "b", "c"];
const HREFS = ["/1", "/2", "/3"];

const links: fc.Arbitrary<Link[]> = fc.array(
  fc.record({ target: fc.constantFrom("coap://n/1", "coap://n/2"), attributes: fc.constant([]) }),
  { maxLength: 2 },
);
const put = fc.record({
  kind: fc.constant("put" as const),
  source: fc.constantFrom(...SOURCES),
  href: fc.constantFrom(...HREFS),
  ep: fc.constantFrom("n1", "n2"),
  d: fc.constantFrom(undefined, "f"),
  renewedAtMs: fc.nat(30),
  ltMs: fc.integer({ min: 1, max: 60 }),
  expiry: fc.constantFrom("exact" as const, "assumed" as const),
  links,
});
const renew = fc.record({
  kind: fc.constant("renew" as const),
  source: fc.constantFrom(...SOURCES),
  href: fc.constantFrom(...HREFS),
  renewedAtMs: fc.nat(40),
  ltMs: fc.integer({ min: 1, max: 60 }),
});
const remove = fc.record({
  kind: fc.constant("remove" as const),
  source: fc.constantFrom(...SOURCES),
  href: fc.constantFrom(...HREFS),
});
const connect = fc.record({
  kind: fc.constant("connect" as const),
  source: fc.constantFrom(...SOURCES),
  isConnected: fc.boolean(),
});
const close = fc.record({ kind: fc.constant("close" as const), source: fc.constantFrom(...SOURCES) });
const wait = fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 20 }) });
const expire = fc.record({ kind: fc.constant("expire" as const) });
const action = fc.oneof(
  { weight: 6, arbitrary: put },
  { weight: 3, arbitrary: renew },
  { weight: 2, arbitrary: remove },
  { weight: 2, arbitrary: connect },
  { weight: 1, arbitrary: close },
  { weight: 3, arbitrary: wait },
  { weight: 1, arbitrary: expire },
);
type Action = ValueOf<typeof action>;
const actions = fc.array(action, { maxLength: 40, size: "max" });

function toRegistration(one: ValueOf<typeof put>) {
  const { href, ep, d, renewedAtMs, ltMs, expiry } = one;
  return registration(href, ep, renewedAtMs, {
    ...(d === undefined ? {} : { d }),
    ltMs,
    expiresAtMs: renewedAtMs + ltMs,
    expiry,
    links: one.links,
  });
}

/** Do the same to both, and check that they say the same about it. */
function act(one: Action, directory: Directory, model: MergeModel): void {
  switch (one.kind) {
    case "put":
      directory.put(one.source, toRegistration(one), model.nowMs);
      model.put(one.source, toRegistration(one));
      return;
    case "renew": {
      const times = { renewedAtMs: one.renewedAtMs, expiresAtMs: one.renewedAtMs + one.ltMs };
      expect(directory.renew(one.source, one.href, times, model.nowMs)).toBe(model.renew(one.source, one.href, times));
      return;
    }
    case "remove":
      directory.remove(one.source, one.href, model.nowMs);
      model.remove(one.source, one.href);
      return;
    case "connect":
      directory.setConnected(one.source, one.isConnected, model.nowMs);
      model.setConnected(one.source, one.isConnected);
      return;
    case "close":
      directory.closeSource(one.source, model.nowMs);
      directory.openSource(one.source, { authority: `coap://rd-${one.source}` });
      directory.setConnected(one.source, true, model.nowMs);
      model.close(one.source);
      return;
    case "wait":
      model.wait(one.ms);
      return;
    case "expire":
      directory.expire(model.nowMs);
      return;
    default:
      one satisfies never;
  }
}

const everything = { criteria: [], showProvenance: true };

function shown(directory: Directory, nowMs: number): SourcedRegistration[] {
  return [...directory.select(everything, nowMs)];
}

describe("against a model that computes everything from the records that live", () => {
  test("LPX-05 LPX-06 LPX-08 LPX-09 after any history the union is that of the model, with or without expire", () => {
    fc.assert(
      fc.property(actions, (history) => {
        const directory = directoryOf(...SOURCES);
        const model = new MergeModel(SOURCES);
        for (const one of history) {
          act(one, directory, model);
          expect(shown(directory, model.nowMs)).toEqual(model.winners());
        }
        directory.expire(model.nowMs);
        expect(shown(directory, model.nowMs)).toEqual(model.winners());
        expect(directory.counts()).toMatchObject(model.counts());
        for (const winner of model.winners()) {
          expect(directory.winner(winner.ep, winner.d)).toEqual(winner);
          expect(directory.candidates(winner.ep, winner.d)).toEqual(model.candidates(winner.ep, winner.d));
        }
        expect(
          [...directory.inspect()].filter(({ state }) => state !== "superseded").map((one) => one.registration),
        ).toEqual(model.winners());
      }),
      { numRuns: 1000 },
    );
  });

  test("LPX-09 the next expiry is never later than the first end", () => {
    fc.assert(
      fc.property(actions, (history) => {
        const directory = directoryOf(...SOURCES);
        const model = new MergeModel(SOURCES);
        for (const one of history) act(one, directory, model);
        directory.expire(model.nowMs);
        const nextMs = model.nextEndMs();
        if (nextMs !== undefined) expect(directory.nextExpiryMs()).toBeLessThanOrEqual(nextMs);
        expect(directory.expire(nextMs ?? model.nowMs)).toBe(nextMs === undefined ? 0 : model.endingAt(nextMs));
      }),
    );
  });

  test("LPX-06 the order in which records arrive, and what was there in between, does not matter", () => {
    const records = fc.uniqueArray(put, { maxLength: 9, size: "max", selector: ({ source, href }) => source + href });
    fc.assert(
      fc.property(records, fc.infiniteStream(fc.nat()), actions, (puts, random, detour) => {
        const at = new Map(puts.map((one) => [one, random.next().value]));
        const shuffled = [...puts].sort((a, b) => (at.get(a) ?? 0) - (at.get(b) ?? 0));
        const [plain, other] = [directoryOf(...SOURCES), directoryOf(...SOURCES)];
        const model = new MergeModel(SOURCES);
        for (const one of detour) if (one.kind !== "wait") act(one, other, model);
        for (const source of SOURCES) for (const href of HREFS) other.remove(source, href, 0);
        for (const source of SOURCES) other.setConnected(source, true, 0);
        for (const one of puts) plain.put(one.source, toRegistration(one), 0);
        for (const one of shuffled) other.put(one.source, toRegistration(one), 0);
        for (const nowMs of [0, 15, 31, 45]) expect(shown(other, nowMs)).toEqual(shown(plain, nowMs));
      }),
    );
  });

  test("applying the events to a copy of the state yields the new state", () => {
    fc.assert(
      fc.property(actions, (history) => {
        const directory = directoryOf(...SOURCES);
        const model = new MergeModel(SOURCES);
        const byKey = new Map<string, SourcedRegistration>();
        const byHref = new Map<string, SourcedRegistration>();
        directory.on("visible", ({ ep, d, before, after }) => {
          const key = JSON.stringify([ep, d]);
          expect(byKey.get(key)).toEqual(before);
          if (after === undefined) byKey.delete(key);
          else byKey.set(key, after);
        });
        directory.on("source", ({ source, href, kind, registration: reported }) => {
          expect(byHref.has(source + href)).toBe(kind !== "added");
          if (kind === "removed") byHref.delete(source + href);
          else byHref.set(source + href, reported);
        });
        for (const one of history) act(one, directory, model);
        directory.expire(model.nowMs);
        const sorted = (all: Iterable<SourcedRegistration>) => [...all].map((one) => JSON.stringify(one)).sort();
        expect(sorted(byKey.values())).toEqual(sorted(shown(directory, model.nowMs)));
        expect(sorted(byHref.values())).toEqual(sorted([...directory.inspect()].map((one) => one.registration)));
      }),
      { numRuns: 500 },
    );
  });
});
