import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LONGEST_RETRY_MS, LONGEST_SILENCE_RETRY_MS, REFUSED_RETRY_MS } from "./constants.js";
import type { Discovered } from "./discovery/discovery.js";
import { UpstreamError } from "./errors.js";
import { transition, type UpstreamEffect, type UpstreamInput, type UpstreamState } from "./machine.js";

const found: Discovered = {
  endpointLookup: "coap://a/ep",
  resourceLookup: "coap://a/res",
  authority: "coap://a",
  hasFeed: true,
  isTributary: true,
  isTier: false,
  hasTcp: false,
};
const plain: Discovered = { ...found, hasFeed: false };
const error = new UpstreamError("UPSTREAM_TIMEOUT", "no answer");
const refusal = new UpstreamError("UPSTREAM_REFUSED", "4.01");
const replicate = { mode: "replicate" } as const;

const discovering: UpstreamState = { kind: "discovering", attempt: 0 };
const probing: UpstreamState = { kind: "probing", attempt: 0, found };
const live: UpstreamState = { kind: "live", found };
const stale: UpstreamState = { kind: "stale", attempt: 1, cause: error };

const kinds = (effects: readonly UpstreamEffect[]) => effects.map(({ kind }) => kind).filter((kind) => kind !== "log");
const retryAfter = (effects: readonly UpstreamEffect[]) =>
  effects.flatMap((effect) => (effect.kind === "retry-after" ? [effect.afterMs] : []))[0];

describe("the life of an upstream", () => {
  test.each([
    {
      name: "start: discover",
      state: { kind: "idle" },
      input: { kind: "start" },
      to: "discovering",
      effects: ["discover"],
    },
    {
      name: "found with feed: follow it",
      state: discovering,
      input: { kind: "discovered", found },
      to: "probing",
      effects: ["follow"],
    },
    {
      name: "found without: follow its lookups",
      state: discovering,
      input: { kind: "discovered", found: plain },
      to: "probing",
      effects: ["follow"],
    },
    { name: "first patch: copying", state: probing, input: { kind: "receiving" }, to: "copying", effects: [] },
    {
      name: "complete: live",
      state: { ...probing, kind: "copying" },
      input: { kind: "complete" },
      to: "live",
      effects: ["set-connected"],
    },
    {
      name: "resumed without a patch: live",
      state: probing,
      input: { kind: "complete" },
      to: "live",
      effects: ["set-connected"],
    },
    { name: "complete again: nothing", state: live, input: { kind: "complete" }, to: "live", effects: [] },
    {
      name: "lost: stale, tried again",
      state: live,
      input: { kind: "failed", error },
      to: "stale",
      effects: ["stop-following", "set-connected", "retry-after"],
    },
    {
      name: "DIS-15 not reached: tried again later",
      state: discovering,
      input: { kind: "failed", error },
      to: "stale",
      effects: ["stop-following", "set-connected", "retry-after"],
    },
    { name: "time to try again", state: stale, input: { kind: "retry" }, to: "discovering", effects: ["discover"] },
    {
      name: "the feed is refused: its lookups instead",
      state: probing,
      input: { kind: "feed-unavailable", reason: "4.03", isRefusal: true },
      to: "probing",
      effects: ["stop-following", "follow"],
    },
    {
      name: "LPX-23 this node itself: refused",
      state: discovering,
      input: { kind: "refused", reason: "it is this node itself" },
      to: "refused",
      effects: ["stop-following", "set-connected", "retry-after"],
    },
    {
      name: "a late answer after closing: nothing",
      state: { kind: "closed" },
      input: { kind: "discovered", found },
      to: "closed",
      effects: [],
    },
    {
      name: "a failure while it waits: nothing",
      state: stale,
      input: { kind: "failed", error },
      to: "stale",
      effects: [],
    },
    {
      name: "close",
      state: live,
      input: { kind: "close" },
      to: "closed",
      effects: ["stop-following", "set-connected"],
    },
  ] as const)("$name", ({ state, input, to, effects }) => {
    const next = transition(state as UpstreamState, input as UpstreamInput, replicate);
    expect(next.state.kind).toBe(to);
    expect(kinds(next.effects)).toEqual(effects);
  });

  test("in mode forward it is live as soon as it is found, and nothing is copied", () => {
    const next = transition(discovering, { kind: "discovered", found }, { mode: "forward" });
    expect(next.state.kind).toBe("live");
    expect(next.effects[0]).toMatchObject({ kind: "follow", method: "none" });
  });

  test.each([
    {
      what: "that is silent",
      cause: error,
      isFound: false,
      first: [500, 1000, 2000, 2000],
      longest: LONGEST_SILENCE_RETRY_MS,
    },
    { what: "that refuses", cause: refusal, isFound: false, first: [500, 1000, 2000, 4000], longest: LONGEST_RETRY_MS },
    {
      what: "that is found and then too slow",
      cause: error,
      isFound: true,
      first: [500, 1000, 2000, 4000],
      longest: LONGEST_RETRY_MS,
    },
  ])("DIS-15 pauses grow up to a bound, for an upstream $what", ({ cause, isFound, first, longest }) => {
    let state: UpstreamState = discovering;
    const pauses: number[] = [];
    for (let attempt = 0; attempt < 12; attempt++) {
      if (isFound) ({ state } = transition(state, { kind: "discovered", found }, replicate));
      const failed = transition(state, { kind: "failed", error: cause }, replicate);
      pauses.push(retryAfter(failed.effects) as number);
      state = transition(failed.state, { kind: "retry" }, replicate).state;
    }
    expect(pauses.slice(0, 4)).toEqual(first);
    expect(pauses.at(-1)).toBe(longest);
  });

  test("DIS-16 5.03 with Max-Age is left alone for exactly that time", () => {
    const busy = new UpstreamError("UPSTREAM_REFUSED", "5.03", { retryAfterMs: 77_000 });
    const { effects } = transition(discovering, { kind: "failed", error: busy }, replicate);
    expect(effects).toContainEqual({ kind: "retry-after", afterMs: 77_000, isExact: true });
  });

  test("LPX-23 a refused upstream is looked at again, rarely", () => {
    expect(retryAfter(transition(discovering, { kind: "refused", reason: "x" }, replicate).effects)).toBe(
      REFUSED_RETRY_MS,
    );
  });

  test("an outage is logged once", () => {
    const first = transition(live, { kind: "failed", error }, replicate);
    const again = transition(
      transition(first.state, { kind: "retry" }, replicate).state,
      { kind: "failed", error },
      replicate,
    );
    const logs = (effects: readonly UpstreamEffect[]) => effects.filter(({ kind }) => kind === "log").length;
    expect([logs(first.effects), logs(again.effects)]).toEqual([1, 0]);
  });

  test("whatever comes in whatever order, it is connected only while live, and closed is final", () => {
    const input: fc.Arbitrary<UpstreamInput> = fc.constantFrom<UpstreamInput>(
      { kind: "start" },
      { kind: "discovered", found },
      { kind: "discovered", found: plain },
      { kind: "refused", reason: "x" },
      { kind: "failed", error },
      { kind: "feed-unavailable", reason: "x", isRefusal: false },
      { kind: "receiving" },
      { kind: "complete" },
      { kind: "retry" },
      { kind: "close" },
    );
    fc.assert(
      fc.property(fc.array(input, { maxLength: 30 }), (inputs) => {
        let state: UpstreamState = { kind: "idle" };
        let isConnected = false;
        let following = 0;
        for (const one of inputs) {
          const wasClosed = state.kind === "closed";
          const next = transition(state, one, replicate);
          for (const effect of next.effects) {
            if (effect.kind === "set-connected") isConnected = effect.isConnected;
            if (effect.kind === "follow") following++;
            if (effect.kind === "stop-following") following = 0;
          }
          state = next.state;
          if (wasClosed) expect([state.kind, next.effects.length]).toEqual(["closed", 0]);
          if (isConnected) expect(["live", "probing"]).toContain(state.kind);
          if (state.kind === "live") expect(isConnected).toBe(true);
          expect(following).toBeLessThanOrEqual(1);
        }
      }),
    );
  });
});
