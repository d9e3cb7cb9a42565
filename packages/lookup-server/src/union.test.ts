import { type Link, parseLinkFormat, serialiseLinks } from "@tributary/link-model";
import { describe, expect, test } from "vitest";
import { type Contribution, type KnownElsewhere, type KnownEndpoint, reportedAgeS, unionInSteps } from "./union.js";

function union(...args: Parameters<typeof unionInSteps>): Link[] {
  const work = unionInSteps(...args);
  for (let step = work.next(); ; step = work.next()) if (step.done === true) return step.value;
}

function links(text: string): Link[] {
  const parsed = parseLinkFormat(new TextEncoder().encode(text));
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.links;
}

/** `renewedAtMs` of each in turn. */
function endpoints(text: string, ...renewedAtMs: number[]): KnownEndpoint[] {
  return links(text).map((link, index) => ({
    link,
    renewal: {
      renewedAtMs: renewedAtMs[index] ?? Number.NEGATIVE_INFINITY,
      href: link.target,
      base: "",
      isLost: false,
    },
  }));
}

const NOTHING_ELSE: KnownElsewhere = () => [];
const OLD = '<coap://a/reg/1>;ep="m";base="coap://old"';
const NEW = '<coap://b/reg/7>;ep="m";base="coap://new"';

describe("draft 6.2, LPX-06 links follow the registration that was renewed last", () => {
  const oldLinks = '<coap://old/t>;provenance="coap://a/reg/1",<coap://old/o>;provenance="coap://a/reg/1"';
  const newLinks = '<coap://new/t>;provenance="coap://b/reg/7"';
  const older: Contribution = { links: links(oldLinks), endpoints: endpoints(OLD, 1000) };
  const newer: Contribution = { links: links(newLinks), endpoints: endpoints(NEW, 3000) };
  const rows: { name: string; from: Contribution[]; want: string; elsewhere?: KnownElsewhere }[] = [
    { name: "whichever answers first", from: [older, newer], want: "<coap://new/t>" },
    { name: "or last", from: [newer, older], want: "<coap://new/t>" },
    {
      name: "an age that is not known loses to one that is",
      from: [newer, { ...older, endpoints: endpoints(OLD) }],
      want: "<coap://new/t>",
    },
    {
      name: "of two unknown ages one wins, the same at every proxy",
      from: [
        { ...newer, endpoints: endpoints(NEW) },
        { ...older, endpoints: endpoints(OLD) },
      ],
      want: "<coap://old/t>,<coap://old/o>",
    },
    {
      name: "one that has no link that matches still supersedes",
      from: [older, { links: [], endpoints: endpoints(NEW, 3000) }],
      want: "",
    },
    {
      name: "one that does not match at all supersedes when the directory has it",
      from: [older],
      elsewhere: (ep) => (ep === "m" ? [{ renewedAtMs: 3000, href: "coap://b/reg/7", base: "", isLost: false }] : []),
      want: "",
    },
    {
      name: "another route to the same registration does not supersede it",
      from: [older],
      elsewhere: () => [{ renewedAtMs: 3000, href: "coap://a/reg/1", base: "", isLost: false }],
      want: "<coap://old/t>,<coap://old/o>",
    },
    {
      name: "another sector is another endpoint",
      from: [older, { links: links(newLinks), endpoints: endpoints(`${NEW};d="x"`, 3000) }],
      want: "<coap://old/t>,<coap://old/o>,<coap://new/t>",
    },
    {
      name: "LPX-14 without provenance a link belongs to the only endpoint with its base",
      from: [newer, { links: links("<coap://old/t>,<coap://OLD/o>"), endpoints: endpoints(OLD) }],
      want: "<coap://new/t>",
    },
    {
      name: "its context counts, not its target",
      from: [newer, { links: links('<coap://old/t>;anchor="coap://x"'), endpoints: endpoints(OLD) }],
      want: '<coap://new/t>,<coap://old/t>;anchor="coap://x"',
    },
    {
      name: "where several endpoints have one base, its links are kept",
      from: [
        newer,
        { links: links("<coap://old/t>"), endpoints: endpoints(`${OLD},<coap://a/2>;ep="n";base="coap://old"`) },
      ],
      want: "<coap://new/t>,<coap://old/t>",
    },
    {
      name: "of an origin that names no endpoints, all links are kept",
      from: [newer, { links: links("<coap://old/t>") }],
      want: "<coap://new/t>,<coap://old/t>",
    },
    {
      name: "a registration that two origins show is shown once",
      from: [older, older],
      want: "<coap://old/t>,<coap://old/o>",
    },
  ];
  test.each(rows)("$name", ({ from, want, elsewhere = NOTHING_ELSE }) => {
    expect(serialiseLinks(union("res", from, elsewhere, false))).toBe(want);
  });

  test("and endpoint links are those of the same registrations", () => {
    for (const from of [
      [older, newer],
      [newer, older],
    ]) {
      const contributions = from.map(({ endpoints: known = [] }) => ({
        links: known.map(({ link }) => link),
        endpoints: known,
      }));
      expect(union("ep", contributions, NOTHING_ELSE, false).map(({ target }) => target)).toEqual(["coap://b/reg/7"]);
    }
  });
});

test("LPX-07 ages are read in both forms, and never longer than they may be", () => {
  const ages = ["lt-age=5", "lt=60;lt-remaining=20", "lt=60", "lt-age=x", "lt-age=12345678901"].map((attributes) =>
    reportedAgeS(links(`</r>;${attributes}`)[0] as Link),
  );
  expect(ages).toEqual([5, 40, undefined, undefined, undefined]);
});
