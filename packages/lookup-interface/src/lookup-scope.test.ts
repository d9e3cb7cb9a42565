import { buildRequest, DIRECTORY_ADDRESS } from "@tributary/resource-directory/testing";
import { expect, test } from "vitest";
import { lookupScope, scopeOfRequest } from "./lookup-scope.js";

const OWN = `coap://[${DIRECTORY_ADDRESS}]`;

test.each([
  { name: "a lookup", query: "ep=a", want: "everywhere" },
  { name: "a lookup without criteria", query: "", want: "everywhere" },
  { name: "LPX-12 everything that is registered at a path", query: "href=/*", want: "here" },
  { name: "LPX-12 the same by provenance, beside others", query: "d=x&provenance=/*", want: "here" },
  { name: "a registration by its path", query: "href=/reg/42", want: "here" },
  { name: "a registration by its path, whatever node its name says", query: "provenance=/reg/rd-b/42", want: "here" },
  { name: "registrations by a longer prefix", query: "provenance=/reg/*", want: "here" },
  { name: "LKP-20 a registration by its full URI", query: `href=${OWN}/reg/42`, want: "here" },
  { name: "LKP-20 registrations by the full URI of this node", query: `provenance=${OWN}/*`, want: "here" },
  { name: "a reference to another host without a scheme", query: "href=//h/reg/42", want: "here" },
  { name: "a page of what is registered here", query: "count=2&page=1&href=/*", want: "here" },
  { name: "a registration elsewhere", query: "href=coap://h/reg/42", want: "everywhere" },
  { name: "a prefix of URIs", query: "href=coap*", want: "everywhere" },
  { name: "every registration", query: "href=*", want: "everywhere" },
  { name: "every provenance", query: "provenance", want: "everywhere" },
  { name: "another attribute with a path", query: "title=/reg/42", want: "everywhere" },
  { name: "LPX-20 Hop-Limit 1", query: "ep=a", hopLimit: 1, want: "here" },
  { name: "LPX-20 Hop-Limit 1 and everything", query: "href=*", hopLimit: 1, want: "here" },
  { name: "LPX-20 Hop-Limit 2, which a tier is asked with", query: "ep=a", hopLimit: 2, want: "directories" },
  { name: "a path and a Hop-Limit of 2", query: "href=/*", hopLimit: 2, want: "here" },
  { name: "the Hop-Limit of a forwarding peer", query: "ep=a", hopLimit: 15, want: "everywhere" },
  { name: "a query that is refused", query: "page=1", want: "here" },
])("draft 4.4.2, scope of $name", ({ query, want, hopLimit }) => {
  const request = buildRequest("GET", `/rd-lookup/ep?${query}`, hopLimit === undefined ? {} : { hopLimit });
  expect(scopeOfRequest(request, { kind: "ep", resourcePath: ["reg"] })).toBe(want);
});

test("on the resource lookup a full URI of this node that is no registration may be a target", () => {
  const scopeOf = (query: string) =>
    scopeOfRequest(buildRequest("GET", `/rd-lookup/res?${query}`), { kind: "res", resourcePath: ["reg"] });
  expect([scopeOf(`href=${OWN}/sensors/temp`), scopeOf(`href=${OWN}/reg/42`)]).toEqual(["everywhere", "here"]);
});

test("a criterion counts as it is read, not as it is written", () => {
  expect(lookupScope({}, [{ name: "href", value: "/", isPrefix: true }])).toBe("here");
});
