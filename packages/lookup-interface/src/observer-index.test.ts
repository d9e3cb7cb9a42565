import { parseCriterion, parseLinkFormat } from "@tributary/link-model";
import { registrationMatches, type SourcedRegistration } from "@tributary/merge-engine";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ObserverIndex, type Watching } from "./observer-index.js";

const word = fc.constantFrom("a", "b", "c", "core.rd-ep", "a b", "/reg/1", "coap://h/a");
const name = fc.constantFrom("ep", "d", "base", "rt", "if", "href", "provenance", "anchor", "et", "obs", "lt-age");
const attributes = fc.array(fc.tuple(name, fc.option(word)), { maxLength: 3 });
const registration = fc
  .record({
    ep: word,
    d: fc.option(word),
    base: word,
    attributes,
    links: fc.array(fc.record({ target: word, attributes })),
  })
  .map(
    ({ d, ...rest }): SourcedRegistration => ({
      ...rest,
      ...(d === null ? {} : { d }),
      href: "/reg/1",
      shownHref: "/reg/1",
      orderMs: 0,
      source: "local",
      renewedAtMs: 0,
      expiresAtMs: 1,
      expiry: "exact",
    }),
  );
const item = fc.tuple(name, word, fc.constantFrom("", "=", "*")).map(([key, value, mark]) => {
  if (mark === "") return key;
  return mark === "*" ? `${key}=${value}*` : `${key}=${value}`;
});
const watching = fc.array(item, { maxLength: 3 }).map((items): Watching => ({ criteria: items.map(parseCriterion) }));

describe("ObserverIndex", () => {
  test("finds exactly those whose criteria a registration meets", () => {
    fc.assert(
      fc.property(fc.array(watching), fc.array(watching), registration, (present, left, one) => {
        const index = new ObserverIndex<Watching>();
        for (const each of [...present, ...left]) index.add(each);
        for (const each of left) index.delete(each);
        const found = new Set(index.concernedBy(one));
        expect(found).toEqual(new Set(present.filter(({ criteria }) => registrationMatches(criteria, one))));
      }),
    );
  });

  test("finds relation types one by one", () => {
    const index = new ObserverIndex<Watching>();
    const watcher = { criteria: [parseCriterion("rt=b")] };
    index.add(watcher);
    const parsed = parseLinkFormat('<coap://h/x>;rt="a b"');
    const one = {
      ep: "e",
      base: "coap://h",
      attributes: [],
      links: parsed.ok ? parsed.links : [],
      href: "/reg/1",
      shownHref: "/reg/1",
      orderMs: 0,
    };
    expect([
      ...index.concernedBy({ ...one, source: "local", renewedAtMs: 0, expiresAtMs: 1, expiry: "exact" }),
    ]).toEqual([watcher]);
  });
});
