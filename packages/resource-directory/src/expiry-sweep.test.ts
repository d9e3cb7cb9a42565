import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { createDirectory, type Registration } from "@tributary/merge-engine";
import { describe, expect, test } from "vitest";
import { startExpirySweep } from "./expiry-sweep.js";

function watch() {
  const world = createVirtualWorld();
  const directory = createDirectory();
  directory.openSource("local", { authority: null });
  directory.setConnected("local", true, 0);
  const expired: [string, number][] = [];
  directory.on("source", ({ kind, cause, href }) => {
    if (kind === "removed" && cause === "expired") expired.push([href, world.clock.nowMs()]);
  });
  const sweep = startExpirySweep({ directory, env: world.env });
  const put = (href: string, endMs: number, more: Partial<Registration> = {}) =>
    directory.put(
      "local",
      {
        href,
        ep: href,
        base: "coap://h",
        attributes: [],
        links: [],
        renewedAtMs: world.clock.nowMs(),
        expiresAtMs: endMs,
        expiry: "exact",
        ...more,
      },
      world.clock.nowMs(),
    );
  return { clock: world.clock, env: world.env, directory, expired, sweep, put };
}

describe("expiry sweep", () => {
  test("LIF-01 removes each registration at its end, to the millisecond", async () => {
    const { clock, expired, put } = watch();
    put("/c", 90_000);
    put("/a", 1000);
    put("/b", 60_000);
    await clock.advance(100_000);
    expect(expired).toEqual([
      ["/a", 1000],
      ["/b", 60_000],
      ["/c", 90_000],
    ]);
  });

  test("a shorter lifetime that comes later is not overslept", async () => {
    const { clock, expired, put } = watch();
    put("/long", 1_000_000);
    await clock.advance(50_000);
    for (let at = 0; at < 10; at++) {
      put(`/x${at}`, clock.nowMs() + 900_000);
      await clock.advance(10);
    }
    put("/short", clock.nowMs() + 1000);
    const endMs = clock.nowMs() + 1000;
    await clock.advance(2000);
    expect(expired).toEqual([["/short", endMs]]);
  });

  test("many that end at once go in turns, and no lookup shows one of them meanwhile", async () => {
    const { clock, directory, expired, put, env } = watch();
    for (let at = 0; at < 1000; at++) put(`/${at}`, 60_000);
    // Each of them takes a millisecond.
    let spentMs = 0;
    directory.on("source", () => spentMs++);
    const { nowMs, setTimer } = env.clock;
    const perTurn: number[] = [];
    const query = { criteria: [], showProvenance: false };
    Object.assign(env.clock, {
      nowMs: () => nowMs.call(env.clock) + spentMs,
      setTimer: (delayMs: number, callback: () => void) =>
        setTimer.call(env.clock, delayMs, () => {
          const before = expired.length;
          callback();
          perTurn.push(expired.length - before);
          if (expired.length > 0) expect([...directory.lookup("ep", query, 60_000)]).toEqual([]);
        }),
    });
    directory.setConnected("local", false, 0);
    await clock.advance(60_100);
    expect(expired).toHaveLength(1000);
    expect(Math.max(...perTurn)).toBeLessThan(50);
  });

  test("a renewal is respected", async () => {
    const { clock, expired, put, directory } = watch();
    put("/a", 60_000);
    await clock.advance(59_000);
    directory.renew("local", "/a", { renewedAtMs: 59_000, expiresAtMs: 119_000 }, 59_000);
    await clock.advance(100_000);
    expect(expired).toEqual([["/a", 119_000]]);
  });

  test("records of a source that is lost end too", async () => {
    const { clock, expired, put, directory } = watch();
    put("/a", 60_000, { expiry: "assumed" });
    await clock.advance(70_000);
    expect(expired).toEqual([]);
    directory.setConnected("local", false, clock.nowMs());
    await clock.advance(1000);
    expect(expired).toHaveLength(1);
  });

  test("LIF-04 one timer, however many registrations, and none when there is nothing to wait for", async () => {
    const { clock, put, sweep, directory } = watch();
    expect(clock.pending).toBe(0);
    for (let at = 0; at < 1000; at++) put(`/r${at}`, 4_294_967_295_000 + at);
    expect(clock.pending).toBe(1);
    for (const href of [...directory.hrefs("local")]) directory.remove("local", href, clock.nowMs());
    await clock.advance(86_400_000);
    expect(clock.pending).toBe(0);
    put("/again", clock.nowMs() + 1000);
    expect(clock.pending).toBe(1);
    sweep.close();
    expect(clock.pending).toBe(0);
  });
});
