import { describe, expect, test } from "vitest";
import { isAnswerable, readiness } from "./readiness.js";

const copied = { mode: "replicate", phase: "live", isComplete: true } as const;
const lostCopy = { ...copied, phase: "stale" } as const;
const uncopied = { mode: "replicate", phase: "missing", isComplete: false } as const;
const copying = { mode: "replicate", phase: "copying", isComplete: false } as const;
const refused = { mode: "replicate", phase: "refused", isComplete: false } as const;
const asked = { mode: "forward", phase: "live", isComplete: false } as const;
const silent = { mode: "forward", phase: "stale", isComplete: false } as const;
const silentAuto = { mode: "auto", phase: "missing", isComplete: true } as const;

describe("readiness", () => {
  test.each([
    { name: "a copy", upstream: copied, want: true },
    { name: "a copy of an RD that is lost", upstream: lostCopy, want: true },
    { name: "an RD that was never copied", upstream: uncopied, want: false },
    { name: "a copy that is not complete", upstream: copying, want: false },
    { name: "an upstream that is refused", upstream: refused, want: false },
    { name: "an RD that is asked", upstream: asked, want: true },
    { name: "an RD that is asked and silent", upstream: silent, want: false },
    { name: "one in mode auto that is silent, whatever families are held", upstream: silentAuto, want: false },
  ])("$name can be answered for: $want", ({ upstream, want }) => expect(isAnswerable(upstream)).toBe(want));

  test.each([
    { name: "any: one of two", upstreams: [copied, uncopied], policy: "any", want: [true, 1, 1] },
    { name: "any: none of two", upstreams: [uncopied, silent], policy: "any", want: [false, 0, 1] },
    { name: "all: one of two", upstreams: [copied, uncopied], policy: "all", want: [false, 1, 2] },
    { name: "all: two of two", upstreams: [copied, asked], policy: "all", want: [true, 2, 2] },
    { name: "2 of three", upstreams: [copied, asked, refused], policy: 2, want: [true, 2, 2] },
    { name: "3 of three", upstreams: [copied, asked, refused], policy: 3, want: [false, 2, 3] },
    { name: "own registrations are one", upstreams: [uncopied], policy: "any", isDirectory: true, want: [true, 1, 1] },
    { name: "all: and are not all", upstreams: [uncopied], policy: "all", isDirectory: true, want: [false, 1, 2] },
    { name: "nothing to wait for", upstreams: [], policy: "any", want: [true, 0, 0] },
  ] as const)("$name", ({ upstreams, policy, want, ...more }) => {
    const { isReady, parts, needed } = readiness(upstreams, policy, "isDirectory" in more);
    expect([isReady, parts, needed]).toEqual(want);
  });
});
