import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Failure,
  IDLE,
  type KeepAliveEffect,
  type KeepAliveInput,
  type KeepAliveOptions,
  type KeepAliveState,
  step,
} from "./keep-alive.js";

const LT_MS = 100_000;
const SILENCE: Failure = { kind: "unavailable", message: "no answer" };
const GONE: Failure = { kind: "gone", message: "4.04" };
const REFUSED: Failure = { kind: "refused", message: "4.00" };

/** Feeds inputs and keeps what the last one caused, in short words. */
class Endpoint {
  state: KeepAliveState = IDLE;
  said: string[] = [];
  readonly #options: KeepAliveOptions;

  constructor(candidates: number) {
    this.#options = { ltMs: LT_MS, candidates };
  }

  feed(...inputs: KeepAliveInput[]): string[] {
    for (const input of inputs) {
      const { state, effects } = step(this.state, input, this.#options, 0.5);
      this.state = state;
      this.said = effects.map(inWords);
    }
    return this.said;
  }

  registerAt(index: number): string[] {
    return this.feed(
      { kind: "discovered", registration: `rd${index}` },
      { kind: "registered", location: `rd${index}/reg/1` },
    );
  }

  fail(failure: Failure): string[] {
    return this.feed({ kind: "failed", failure });
  }
}

function inWords(effect: KeepAliveEffect): string {
  switch (effect.kind) {
    case "discover":
      return `discover ${effect.at}`;
    case "register":
      return `register ${effect.registration}`;
    case "renew":
    case "remove":
      return `${effect.kind} ${effect.location}`;
    case "wait":
      return `wait ${effect.ms}`;
    case "report":
      return `tell ${effect.event.kind}`;
    case "finish":
      return effect.isFailure ? "fail" : "finish";
    case "search":
      return "search";
    default:
      return effect satisfies never;
  }
}

function registered(candidates: number): Endpoint {
  const endpoint = new Endpoint(candidates);
  endpoint.feed({ kind: "start" });
  endpoint.registerAt(0);
  return endpoint;
}

describe("first registration", () => {
  test("discovers, registers, and renews after three quarters of the lifetime", () => {
    const endpoint = new Endpoint(2);
    expect(endpoint.feed({ kind: "start" })).toEqual(["discover 0"]);
    expect(endpoint.feed({ kind: "discovered", registration: "rd0" })).toEqual(["register rd0"]);
    expect(endpoint.feed({ kind: "registered", location: "rd0/reg/1" })).toEqual(["tell registered", "wait 75000"]);
    expect(endpoint.feed({ kind: "elapsed" })).toEqual(["renew rd0/reg/1"]);
    expect(endpoint.feed({ kind: "renewed" })).toEqual(["wait 75000"]);
  });

  test("the first RD that answers is taken", () => {
    const endpoint = new Endpoint(3);
    endpoint.feed({ kind: "start" });
    expect(endpoint.fail(SILENCE)).toEqual(["tell failed", "discover 1"]);
    expect(endpoint.registerAt(1)).toContain("tell registered");
  });

  test.each([
    { name: "silent", failure: SILENCE },
    { name: "refusing", failure: REFUSED },
  ])("when every RD is $name the command fails", ({ failure }) => {
    const endpoint = new Endpoint(2);
    endpoint.feed({ kind: "start" });
    endpoint.fail(failure);
    expect(endpoint.fail(failure)).toEqual(["tell failed", "fail"]);
  });

  test("without a list RDs are searched for", () => {
    const endpoint = new Endpoint(0);
    expect(endpoint.feed({ kind: "start" })).toEqual(["search"]);
    expect(endpoint.feed({ kind: "found", count: 2 })).toEqual(["discover 0"]);
    expect(endpoint.fail(SILENCE)).toEqual(["tell failed", "discover 1"]);
  });
});

describe("draft 4.4.1: the RD is gone", () => {
  test("a silent RD is passed over for the next in order", () => {
    const endpoint = registered(3);
    endpoint.feed({ kind: "elapsed" });
    expect(endpoint.fail(SILENCE)).toEqual(["tell lost", "discover 1"]);
    expect(endpoint.registerAt(1)).toEqual(["tell registered", "wait 75000"]);
  });

  test("after the last of the list comes the first", () => {
    const endpoint = registered(2);
    endpoint.feed({ kind: "elapsed" });
    endpoint.fail(SILENCE);
    endpoint.registerAt(1);
    endpoint.feed({ kind: "elapsed" });
    expect(endpoint.fail(SILENCE)).toEqual(["tell lost", "discover 0"]);
  });

  test("an RD that forgot the registration gets it again", () => {
    const endpoint = registered(2);
    endpoint.feed({ kind: "elapsed" });
    expect(endpoint.fail(GONE)).toEqual(["tell lost", "discover 0"]);
  });

  test("once registered it never gives up: rounds with growing pauses", () => {
    const endpoint = registered(2);
    endpoint.feed({ kind: "elapsed" });
    endpoint.fail(SILENCE);
    const pauses: string[] = [];
    for (let round = 0; round < 9; round++) {
      endpoint.fail(SILENCE);
      pauses.push(endpoint.fail(SILENCE).at(-1) ?? "");
      expect(endpoint.feed({ kind: "elapsed" })).toEqual(["discover 1"]);
    }
    expect(pauses).toEqual([750, 1500, 3000, 6000, 12_000, 24_000, 45_000, 45_000, 45_000].map((ms) => `wait ${ms}`));
    expect(endpoint.registerAt(1)).toContain("tell registered");
  });

  test("without a list the search starts again", () => {
    const endpoint = new Endpoint(0);
    endpoint.feed({ kind: "start" }, { kind: "found", count: 1 });
    endpoint.registerAt(0);
    endpoint.feed({ kind: "elapsed" });
    expect(endpoint.fail(SILENCE)).toEqual(["tell lost", "search"]);
  });
});

describe("interruption", () => {
  test("removes the registration", () => {
    const endpoint = registered(1);
    expect(endpoint.feed({ kind: "stop" })).toEqual(["remove rd0/reg/1"]);
    expect(endpoint.feed({ kind: "removed" })).toEqual(["tell removed", "finish"]);
  });

  test("during a renewal removes it as well", () => {
    const endpoint = registered(1);
    endpoint.feed({ kind: "elapsed" });
    expect(endpoint.feed({ kind: "stop" })).toEqual(["remove rd0/reg/1"]);
  });

  test("during a registration waits for the location, then removes it", () => {
    const endpoint = new Endpoint(1);
    endpoint.feed({ kind: "start" }, { kind: "discovered", registration: "rd0" });
    expect(endpoint.feed({ kind: "stop" })).toEqual([]);
    expect(endpoint.feed({ kind: "registered", location: "rd0/reg/1" })).toEqual(["remove rd0/reg/1"]);
  });

  test.each([
    { name: "4.04 to the removal counts as removed", failure: GONE, want: ["tell removed", "finish"] },
    { name: "no response is reported, and is not a failure", failure: SILENCE, want: ["tell not-removed", "finish"] },
  ])("$name", ({ failure, want }) => {
    const endpoint = registered(1);
    endpoint.feed({ kind: "stop" });
    expect(endpoint.fail(failure)).toEqual(want);
  });

  test("before anything was registered just ends", () => {
    const endpoint = new Endpoint(1);
    endpoint.feed({ kind: "start" });
    expect(endpoint.feed({ kind: "stop" })).toEqual(["finish"]);
  });
});

test("whatever the inputs, at most one request is asked for at a time, and a stop with answers to follow always ends", () => {
  const input: fc.Arbitrary<KeepAliveInput> = fc.oneof(
    fc.record({ kind: fc.constantFrom("start", "renewed", "removed", "elapsed", "stop") }),
    fc.record({ kind: fc.constant("found" as const), count: fc.integer({ min: 1, max: 3 }) }),
    fc.constant({ kind: "discovered", registration: "rd" } as const),
    fc.constant({ kind: "registered", location: "loc" } as const),
    fc.record({ kind: fc.constant("failed" as const), failure: fc.constantFrom(SILENCE, GONE, REFUSED) }),
  );
  fc.assert(
    fc.property(fc.nat(3), fc.array(input), (candidates, inputs) => {
      const options = { ltMs: LT_MS, candidates };
      let state: KeepAliveState = IDLE;
      for (const one of inputs) {
        const result = step(state, one, options, 0.5);
        const requests = result.effects.filter(({ kind }) => !["tell", "wait", "finish"].includes(kind));
        expect(requests.length).toBeLessThanOrEqual(1);
        state = result.state;
      }
      for (const last of [{ kind: "stop" }, { kind: "failed", failure: SILENCE }] as const) {
        state = step(state, last, options, 0.5).state;
      }
      expect(state.kind).toBe("over");
    }),
  );
});
