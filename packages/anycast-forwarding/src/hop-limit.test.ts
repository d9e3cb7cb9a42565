import { CODE } from "@tributary/coap-transport";
import { describe, expect, test } from "vitest";
import { MAX_HOP_DIAGNOSTIC_BYTES } from "./constants.js";
import { hopLimitReached, nextHopLimit, withNameInFront } from "./hop-limit.js";

const textOf = (payload: Uint8Array | undefined) => new TextDecoder().decode(payload);

describe("RFC 8768 section 3: the Hop-Limit", () => {
  test.each([
    { name: "none yet", received: undefined, want: 16 },
    { name: "the largest", received: 255, want: 254 },
    { name: "one more hop", received: 2, want: 1 },
    { name: "LPX-20 the last one", received: 1, want: null },
  ])("$name", ({ received, want }) => {
    expect(nextHopLimit(received)).toBe(want);
  });
});

describe("RFC 8768 section 4: names of those on the way", () => {
  test("LPX-20 5.08 names the node that found the loop, and each one before it in front", () => {
    const found = hopLimitReached("rd-c");
    expect(found.code).toBe(CODE.HOP_LIMIT_REACHED);
    expect(textOf(withNameInFront("lp-z", withNameInFront("host-b", found)).payload)).toBe("lp-z host-b rd-c");
  });

  test("the diagnostic does not grow for ever", () => {
    let response = hopLimitReached("a");
    for (let hop = 0; hop < 1000; hop++) response = withNameInFront("node-with-a-long-name", response);
    expect(response.payload?.length).toBeLessThanOrEqual(MAX_HOP_DIAGNOSTIC_BYTES);
    expect(textOf(response.payload)).toMatch(/ node-with-a-long-name a$/);
  });

  test("other answers are left alone", () => {
    const answer = { code: CODE.GATEWAY_TIMEOUT, payload: Buffer.from("silence") };
    expect(withNameInFront("a", answer)).toBe(answer);
  });
});
