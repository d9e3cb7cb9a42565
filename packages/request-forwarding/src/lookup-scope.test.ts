import { expect, test } from "vitest";
import { isAboutThisNode } from "./lookup-scope.js";

test.each([
  { name: "a lookup", request: { query: ["ep=a"] }, want: false },
  { name: "a lookup without criteria", request: { query: [] }, want: false },
  { name: "LPX-12 what is registered here, by endpoint", request: { query: ["href=/*"] }, want: true },
  { name: "LPX-12 what is registered here, by resource", request: { query: ["d=x", "provenance=/*"] }, want: true },
  { name: "a registration of this node", request: { query: ["href=/reg/rd-c/42"] }, want: true },
  { name: "a registration of another node", request: { query: ["href=/reg/rd-b/42"] }, want: false },
  { name: "a registration of a node whose name begins alike", request: { query: ["href=/reg/rd-c2/42"] }, want: false },
  { name: "a link target", request: { query: ["href=coap://h/*"] }, want: false },
  { name: "every provenance", request: { query: ["provenance"] }, want: false },
  { name: "the feed", request: { query: ["href=/*"], accept: 51 }, want: true },
  { name: "link format", request: { query: [], accept: 40 }, want: false },
  { name: "LPX-20 no further than here", request: { query: [], hopLimit: 1 }, want: true },
  { name: "a few hops further", request: { query: [], hopLimit: 2 }, want: false },
  { name: "ages, which a peer would show to this node", request: { query: ["ep=a", "lt-age"] }, want: true },
  { name: "ages as a criterion", request: { query: ["lt-age=5"] }, want: true },
  { name: "another attribute", request: { query: ["lt-agent=5"] }, want: false },
])("$name", ({ request, want }) => {
  expect(isAboutThisNode(request, "rd-c")).toBe(want);
});
