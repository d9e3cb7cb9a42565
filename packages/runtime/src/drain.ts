import type { Environment } from "./environment.js";

/** How often it is looked whether all is done. */
const DRAIN_STEP_MS = 20;

/** Wait until `isDone`, for `drainMs` at most. */
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
