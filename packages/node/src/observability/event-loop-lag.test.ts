import { createVirtualClock } from "@tributary/runtime/testing";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { measureEventLoopLag } from "./event-loop-lag.js";

const lagOf = async (registry: Registry, name: string) =>
  Number(new RegExp(`^nodejs_eventloop_lag${name}_seconds (.*)$`, "m").exec(await registry.metrics())?.[1]);

test("lags are sampled once a second and forgotten after a scrape", async () => {
  const clock = createVirtualClock();
  let lateMs = 0;
  const late = {
    nowMs: () => clock.nowMs(),
    wallMs: () => clock.wallMs(),
    setTimer: (delayMs: number, callback: () => void) => clock.setTimer(delayMs + lateMs, callback),
  };
  const registry = new Registry();
  const end = measureEventLoopLag(registry, late);
  expect(await lagOf(registry, "_max")).toBe(0);
  lateMs = 250;
  await clock.advance(1000);
  lateMs = 10;
  await clock.advance(1250);
  await clock.advance(1010);
  const text = await registry.metrics();
  const inText = (name: string) =>
    Number(new RegExp(`^nodejs_eventloop_lag${name}_seconds (.*)$`, "m").exec(text)?.[1]);
  expect(inText("_max")).toBeCloseTo(0.25, 2);
  expect(inText("_p50")).toBeCloseTo(0.01, 3);
  expect(inText("")).toBe(0.01);
  expect(await lagOf(registry, "_max")).toBe(0);
  end();
  expect(clock.pending).toBe(0);
});
