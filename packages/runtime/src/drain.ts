import type { Environment } from "./environment.js";

/** Interval between checks of `isDone`, ms. */
const DRAIN_STEP_MS = 20;

/** Waits until `isDone` returns true, for at most `drainMs`. */
export async function drain(env: Environment, isDone: () => boolean, drainMs: number): Promise<void> {
  const untilMs = env.clock.nowMs() + drainMs;
  while (!isDone()) {
    const leftMs = untilMs - env.clock.nowMs();
    if (leftMs <= 0) return;
    await new Promise<void>((resolve) => {
      env.clock.setTimer(Math.min(leftMs, DRAIN_STEP_MS), resolve);
    });
  }
}
