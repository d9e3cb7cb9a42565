import { expect, test } from "vitest";
import { RecordQuota } from "./record-quota.js";

test("a peer may announce so many keys, again and again, and others once the old ones have ended", () => {
  const quota = new RecordQuota({ perPeer: 2, peers: 10, lifetimeMs: 1000 }, 0);
  const take = (key: string, nowMs: number, peer = "a") => quota.take(peer, key, nowMs);
  expect([take("x", 0), take("y", 0), take("z", 0), take("x", 10), take("z", 10, "b")]).toEqual([
    true,
    true,
    false,
    true,
    true,
  ]);
  // x is announced again in the next generation, y is not.
  expect([take("x", 1000), take("z", 1500)]).toEqual([true, false]);
  expect([take("z", 2000), take("w", 2000)]).toEqual([true, false]);
  expect([take("v", 9000), take("w", 9000)]).toEqual([true, true]);
});

test("peers beyond those that are counted may announce nothing", () => {
  const quota = new RecordQuota({ perPeer: 2, peers: 1, lifetimeMs: 1000 }, 0);
  expect([quota.take("a", "x", 0), quota.take("b", "x", 0)]).toEqual([true, false]);
});
