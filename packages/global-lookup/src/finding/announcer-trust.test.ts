import { createVirtualClock } from "@tributary/runtime/testing";
import { describe, expect, test } from "vitest";
import { AnnouncerTrust } from "./announcer-trust.js";
import { RequestBudget } from "./request-budget.js";

describe("trust in announcers", () => {
  test("those that proved themselves come first, strangers next, and those that failed last", () => {
    const trust = new AnnouncerTrust(createVirtualClock());
    trust.note("bad", "bad");
    trust.note("good", "good");
    expect(trust.rank(["bad", "new", "good"])).toEqual(["good", "new", "bad"]);
    expect(["bad", "new", "good"].map((one) => trust.isDistrusted(one))).toEqual([true, false, false]);
  });

  test("one failure of an announcer that was good for long changes little", () => {
    const trust = new AnnouncerTrust(createVirtualClock());
    for (let index = 0; index < 10; index++) trust.note("rd", "good");
    trust.note("rd", "bad");
    expect(trust.isDistrusted("rd")).toBe(false);
  });

  test("failures are forgiven with time", async () => {
    const clock = createVirtualClock();
    const trust = new AnnouncerTrust(clock);
    trust.note("rd", "bad");
    await clock.advance(3_600_000);
    expect(trust.isDistrusted("rd")).toBe(false);
  });

  test("no more announcers are remembered than fit", () => {
    const trust = new AnnouncerTrust(createVirtualClock());
    for (let index = 0; index < 10_050; index++) trust.note(`rd${index}`, "bad");
    expect(trust.size).toBe(10_000);
  });
});

describe("requests to one host", () => {
  test("they are limited at once and over time, for each host by itself", async () => {
    const clock = createVirtualClock();
    const budget = new RequestBudget(clock);
    const take = (host: string) => budget.take(host, { burst: 2, perSecond: 1 });
    expect([take("a"), take("a"), take("a"), take("b")]).toEqual([true, true, false, true]);
    await clock.advance(999);
    expect(take("a")).toBe(false);
    await clock.advance(1);
    expect([take("a"), take("a")]).toEqual([true, false]);
    await clock.advance(60_000);
    expect([take("a"), take("a"), take("a")]).toEqual([true, true, false]);
  });
});
