import type { Criterion } from "@tributary/link-model";
import type { UpstreamPlanning } from "@tributary/upstream-sync";
import { expect, test } from "vitest";
import { participation } from "./coverage.js";

const EP: Criterion = { name: "ep", value: "n1", isPrefix: false };
const PLANNING: UpstreamPlanning = {
  ...{ phase: "copying", mode: "replicate", isTier: false, isComplete: false, coverage: [], replicates: [[]] },
  ...{ lossyCoverage: [], sources: ["rd"], leftOut: new Map(), countsLookups: false },
  capabilities: { endpointLookup: "coap://rd/ep", paging: "unknown", provenance: "unknown", lifetimeAge: "unknown" },
};

test.each([
  { what: "a lookup of everything", planning: { showsPart: true }, criteria: [], want: "partial-copy" },
  { what: "a selective lookup", planning: { showsPart: true }, criteria: [EP], want: "ask" },
  { what: "a lookup of everything, nothing of it shown yet", planning: {}, criteria: [], want: "ask" },
  {
    what: "a lookup of everything, with a complete copy of before",
    planning: { showsPart: true, isComplete: true, coverage: [[]] },
    criteria: [],
    want: "copy",
  },
  {
    what: "a lookup of everything, lost",
    planning: { showsPart: true, phase: "stale" },
    criteria: [],
    want: "missing",
  },
] as const)("an upstream that is being copied, $what: $want", ({ planning, criteria, want }) => {
  expect(participation({ ...PLANNING, ...planning }, criteria)).toBe(want);
});
