import { parseLinkFormatTolerantly } from "@tributary/link-model";
import { expect, test } from "vitest";
import { findAdvertised } from "./advertised-interface.js";

const AT = "coap://[2001:db8::1]/.well-known/core";

test.each([
  { name: "a path", document: '</other>,</rd>;rt="x core.rd"', found: "coap://[2001:db8::1]/rd" },
  { name: "the first of two", document: "</a>;rt=core.rd,</b>;rt=core.rd", found: "coap://[2001:db8::1]/a" },
  { name: "another host", document: "<coap://rd.example/rd>;rt=core.rd", found: "coap://rd.example/rd" },
  { name: "a target with a fragment", document: "</rd#part>;rt=core.rd", found: "coap://[2001:db8::1]/rd" },
  { name: "only a longer type", document: "</rd>;rt=core.rd-lookup-ep", found: undefined },
  { name: "no links", document: "", found: undefined },
])("$name", ({ document, found }) => {
  const advertised = findAdvertised(AT, parseLinkFormatTolerantly(new TextEncoder().encode(document)).links, "core.rd");
  expect(advertised?.uri).toBe(found);
  expect(advertised?.astray ?? null).toBe(null);
});

test("a host that only this machine can reach is not to be followed", () => {
  const { links } = parseLinkFormatTolerantly(new TextEncoder().encode("<coap://[::1]/rd>;rt=core.rd"));
  expect(findAdvertised(AT, links, "core.rd")?.astray).toEqual(expect.any(String));
});
