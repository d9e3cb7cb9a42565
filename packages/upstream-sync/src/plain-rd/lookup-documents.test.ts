import { parseLinkFormatTolerantly } from "@tributary/link-model";
import { describe, expect, test } from "vitest";
import { OwnNames, type OwnNamesOptions } from "../discovery/own-names.js";
import { LinkCounts, readEndpointDocument, replicatedLink } from "./lookup-documents.js";

const URI = "coap://[::1]:5801/endpoint-lookup/";
const namesOf = (more: Partial<OwnNamesOptions> = {}) =>
  new OwnNames({
    authorities: [],
    mayGuess: false,
    mayBeOwn: () => true,
    isKnownFromElsewhere: () => false,
    ...more,
  });
const read = (document: string, more = {}) =>
  readEndpointDocument(parseLinkFormatTolerantly(document).links, { uri: URI, names: namesOf(), ...more });

describe("endpoint lookups of RDs that were not written for this", () => {
  test("aiocoap's form", () => {
    expect([
      ...read('</reg/8/>;ep="n1";base="coap://[::1]:56516";rt="core.rd-ep";et="oic.d"').endpoints.values(),
    ]).toEqual([{ href: "/reg/8/", ep: "n1", base: "coap://[::1]:56516", attributes: [["et", "oic.d"]] }]);
  });

  test("con beside base is an attribute like any other", () => {
    const [endpoint] = read('</1>;ep="n";base="coap://new";con="coap://old"').endpoints.values();
    expect(endpoint).toMatchObject({ base: "coap://new", attributes: [["con", "coap://old"]] });
    const [older] = read('</1>;ep="n";con="coap://old"').endpoints.values();
    expect(older).toMatchObject({ base: "coap://old", attributes: [] });
  });

  test("AGE-05 lt with lt-remaining, and the draft's con", () => {
    expect([...read('</1>;ep="n";con="coap://h";lt=100;lt-remaining=60').endpoints.values()]).toEqual([
      { href: "/1", ep: "n", base: "coap://h", attributes: [], ltS: 100, ageS: 40 },
    ]);
  });

  test("a default sector is mapped to none", () => {
    expect(
      read('</1>;ep="n";base="coap://h";d="local"', { defaultSector: "local" }).endpoints.get("/1"),
    ).not.toHaveProperty("d");
    expect(read('</1>;ep="n";base="coap://h";d="f1"', { defaultSector: "local" }).endpoints.get("/1")).toMatchObject({
      d: "f1",
    });
  });

  test("LPX-11 entries that come from somewhere else are left out, and reported once for each kind", () => {
    const { endpoints, leftOut } = read(
      '<coap://other/1>;ep="n";base="coap://h",</2>;base="coap://h",</3>;ep="m",<coap://[::1]:5801/4>;ep="o";base="coap://h"',
    );
    expect([...endpoints.keys()]).toEqual(["/4"]);
    expect(leftOut).toHaveLength(3);
  });

  test.each([
    { href: "/reg/1", want: "/reg/1" },
    { href: "reg/1", want: "/endpoint-lookup/reg/1" },
    { href: "coap://[::1]:5801/x", want: "/x" },
    { href: "//other/x", want: null },
    { href: "coap+tcp://[::1]:5801/x", want: null },
  ])("href $href is $want", ({ href, want }) => expect(namesOf().pathOf(href, URI)).toBe(want));
});

test("PRV-06 LPX-03 what a client forged is stripped from its links, everything else stays", () => {
  const link = {
    target: "coap://n/s",
    attributes: [
      ["rt", "x"],
      ["provenance", "/reg/9"],
      ["lt-age", "1"],
      ["anchor", "coap://n/a"],
    ],
  } as const;
  expect(replicatedLink(link, URI)).toEqual({
    target: "coap://n/s",
    attributes: [
      ["rt", "x"],
      ["anchor", "coap://n/a"],
    ],
  });
});

test("documents are compared without regard to order", () => {
  const a = { target: "/a", attributes: [["rt", "x"]] } as const;
  const b = { target: "/b", attributes: [] } as const;
  const counts = new LinkCounts([a, b, a]);
  for (const link of [b, a, a]) counts.add(link, -1);
  expect(counts.isEmpty).toBe(true);
});
