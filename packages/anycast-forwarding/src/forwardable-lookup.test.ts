import { expect, test } from "vitest";
import { isForwardable } from "./forwardable-lookup.js";

test.each([
  { name: "a lookup", request: { query: ["ep=a"] }, want: true },
  { name: "LPX-12 LPX-20 what is registered here", request: { query: ["href=/*"] }, scope: "here", want: false },
  { name: "the feed", request: { query: ["href=*"], accept: 51 }, want: false },
  { name: "link format", request: { query: [], accept: 40 }, want: true },
  { name: "ages, which a peer would show to this node", request: { query: ["ep=a", "lt-age"] }, want: false },
  { name: "ages as a criterion", request: { query: ["lt-age=5"] }, want: false },
  { name: "another attribute", request: { query: ["lt-agent=5"] }, want: true },
] as const)("$name", ({ request, want, ...row }) => {
  expect(isForwardable(request, "scope" in row ? row.scope : "everywhere")).toBe(want);
});
