import { expect, test } from "vitest";
import type { Discovered } from "./discovery/discovery.js";
import { UpstreamError } from "./errors.js";
import type { UpstreamState } from "./machine.js";
import { shownPhase } from "./shown-phase.js";
import type { UpstreamPhase } from "./types.js";

const found = {} as Discovered;
const cause = new UpstreamError("UPSTREAM_TIMEOUT", "no answer");
const discovering: UpstreamState = { kind: "discovering", attempt: 1 };
const lost: UpstreamState = { kind: "stale", attempt: 1, cause };

test.each([
  { name: "the first search", state: { kind: "discovering", attempt: 0 }, before: "idle", want: "discovering" },
  { name: "never reached", state: lost, before: "discovering", want: "missing" },
  { name: "never reached, tried again", state: discovering, before: "missing", want: "missing" },
  { name: "lost with a copy", state: lost, before: "live", isHeld: true, want: "stale" },
  { name: "lost with a copy, tried again", state: discovering, before: "stale", isHeld: true, want: "stale" },
  {
    name: "found again, nothing received yet",
    state: { kind: "probing", attempt: 1, found },
    before: "stale",
    isHeld: true,
    want: "stale",
  },
  {
    name: "found again, and receiving",
    state: { kind: "copying", attempt: 1, found },
    before: "stale",
    isHeld: true,
    want: "copying",
  },
  { name: "refused, tried again", state: discovering, before: "refused", want: "refused" },
  { name: "refused before, now not reached", state: lost, before: "refused", want: "missing" },
  { name: "live again", state: { kind: "live", found }, before: "stale", isHeld: true, want: "live" },
] as const satisfies readonly {
  name: string;
  state: UpstreamState;
  before: UpstreamPhase;
  isHeld?: boolean;
  want: UpstreamPhase;
}[])("$name: $want", ({ state, before, want, ...more }) => {
  expect(shownPhase(state, before, "isHeld" in more)).toBe(want);
});
