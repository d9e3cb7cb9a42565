import { createDirectory, DEFAULT_RECORD_LIMITS } from "@tributary/merge-engine";
import { createVirtualClock } from "@tributary/runtime/testing";
import { expect, test } from "vitest";
import { LeftOut } from "../left-out.js";
import { FeedCopy } from "./feed-copy.js";

const HOUR_MS = 3_600_000;
const AHEAD_MS = 3_000_000;

/** A proxy with copies of two RDs that follow nobody; the wall clock of `fast` is ahead. */
function followTwo() {
  const clock = createVirtualClock();
  const directory = createDirectory();
  const copyOf = (source: string) => {
    directory.openSource(source, { authority: `coap://${source}` });
    directory.setConnected(source, true, clock.nowMs());
    const limits = DEFAULT_RECORD_LIMITS;
    const settings = { source, account: source, filters: [], assumedLifetimeMs: HOUR_MS, limits };
    return new FeedCopy(directory, settings, new LeftOut({ appeared: () => {}, cleared: () => {} }), clock);
  };
  const copies = { right: copyOf("right"), fast: copyOf("fast") };
  const errors = { right: 0, fast: AHEAD_MS };
  return {
    ...{ clock, directory, copies },
    /** The proxy learns what the clocks of an RD show. */
    read(rd: "right" | "fast") {
      const nowMs = clock.nowMs();
      const wall = { stampMs: clock.wallMs() + errors[rd], leadMs: 0 };
      copies[rd].noteClock({ run: 1, ms: nowMs, wall }, nowMs, nowMs);
    },
    renew(rd: "right" | "fast") {
      const renewedAtMs = clock.nowMs();
      const times = { ltMs: HOUR_MS, renewedAtMs, expiresAtMs: renewedAtMs + HOUR_MS, expiry: "exact" as const };
      const stampMs = clock.wallMs() + errors[rd];
      const registration = { href: "/reg/1", ep: "n", base: "coap://n", attributes: [], links: [] };
      directory.put(rd, { ...registration, ...times, stampMs }, renewedAtMs);
    },
    shown: () => directory.winner("n", undefined)?.source,
  };
}

test.each([["right", "fast"] as const, ["fast", "right"] as const])(
  "whichever of two clocks that are apart is read first, %s or %s, the last renewal wins at once",
  async (first, second) => {
    const { clock, read, renew, shown } = followTwo();
    await clock.advance(10_000);
    renew("fast");
    await clock.advance(100_000);
    renew("right");
    read(first);
    read(second);
    expect(shown()).toBe("right");
    // So it is when they are read again.
    await clock.advance(10_000);
    read(first);
    read(second);
    expect(shown()).toBe("right");
  },
);

test("a copy that is closed has no part in it any more", async () => {
  const { clock, directory, copies, read } = followTwo();
  await clock.advance(10_000);
  read("right");
  copies.right.close();
  read("fast");
  expect(directory.lead("right")).toBe(0);
});
