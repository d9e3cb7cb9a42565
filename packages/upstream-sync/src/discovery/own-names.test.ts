import { parseLinkFormatTolerantly } from "@tributary/link-model";
import { describe, expect, test } from "vitest";
import { OwnNames, type OwnNamesOptions } from "./own-names.js";

const URI = "coap://192.0.2.1/ep";
const namesOf = (more: Partial<OwnNamesOptions> = {}) =>
  new OwnNames({
    authorities: [],
    mayGuess: true,
    mayBeOwn: () => true,
    isKnownFromElsewhere: () => false,
    ...more,
  });
const links = (text: string) => parseLinkFormatTolerantly(text).links;
const A = '<coap://a/1>;ep="n1";base="coap://n1"';
const A2 = '<coap://A:5683/2>;ep="n2";base="coap://n2"';
const B = '<coap://b/3>;ep="n3";base="coap://n3"';
const OWN = '</4>;ep="n4";base="coap://n4"';
const BASE = '<coap://n5>;ep="n5"';

describe("the names under which an RD writes its own URIs", () => {
  test.each([
    { name: "one authority of all entries", entries: `${A},${A2}`, guessed: "coap://a" },
    { name: "one authority, and a path", entries: `${A},${OWN}`, guessed: undefined },
    { name: "two authorities", entries: `${A},${B}`, guessed: undefined },
    { name: "nothing", entries: "", guessed: undefined },
    { name: "bases alone", entries: BASE, guessed: undefined },
    { name: "an RD of which nothing is guessed", entries: A, more: { mayGuess: false }, guessed: undefined },
    { name: "the name of another server", entries: A, more: { mayBeOwn: () => false }, guessed: undefined },
    {
      name: "one entry that is known from elsewhere",
      entries: `${A},${A2}`,
      more: { isKnownFromElsewhere: ({ path, ep }: { path: string; ep: string }) => path === "/2" && ep === "n2" },
      guessed: undefined,
    },
  ])("$name: $guessed", ({ entries, guessed, more }) => {
    const names = namesOf(more);
    names.note(links(entries), URI, true);
    expect(names.guessed).toBe(guessed);
    expect(names.pathOf("coap://a/x", URI)).toBe(guessed === undefined ? null : "/x");
  });

  test("what is configured is own, and what the RD is asked at", () => {
    const names = namesOf({ authorities: ["coaps://RD.example"], mayGuess: false });
    expect(["coaps://rd.example:5684/1", "coap://192.0.2.1:5683/1", "/1"].map((one) => names.pathOf(one, URI))).toEqual(
      ["/1", "/1", "/1"],
    );
    expect(names.pathOf("coap://rd.example/1", URI)).toBeNull();
  });

  test("a guess is given up with the first entry that contradicts it, and made again by a whole document", () => {
    const names = namesOf();
    names.note(links(A), URI, false);
    expect(names.guessed).toBe("coap://a");
    names.note(links(OWN), URI, false);
    expect(names.guessed).toBeUndefined();
    names.note(links(A), URI, true);
    expect(names.guessed).toBe("coap://a");
  });

  test("a path is written as the RD writes it", () => {
    const names = namesOf();
    expect(names.asWritten("/1")).toBe("/1");
    names.note(links(A2), URI, true);
    expect(names.asWritten("/1")).toBe("coap://A:5683/1");
    names.note(links(`${OWN},${B}`), URI, true);
    expect(names.asWritten("/1")).toBe("/1");
  });

  test("another authority is checked as the first one was", () => {
    const names = namesOf({ isKnownFromElsewhere: ({ ep }) => ep === "n3" });
    names.note(links(A), URI, true);
    names.note(links(B), URI, true);
    expect(names.guessed).toBeUndefined();
  });

  test.each([
    { name: "alone", entries: BASE, kind: "base" },
    { name: "beside paths", entries: `${BASE},${OWN}`, kind: "elsewhere" },
    { name: "beside other URIs", entries: `${BASE},${A}`, kind: "elsewhere" },
  ])("an entry that is the URI of an endpoint, $name: $kind", ({ entries, kind }) => {
    const names = namesOf();
    const [entry] = links(entries);
    names.note(links(entries), URI, true);
    expect(entry && names.placeOf(entry, URI).kind).toBe(kind);
  });
});
