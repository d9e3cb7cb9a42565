import type { Directory } from "@tributary/merge-engine";
import { type Environment, type Timer, turnsOf } from "@tributary/runtime";
import { ENDS_PER_STEP, MAX_SWEEP_SLEEP_MS, SWEEP_REARM_MS } from "./constants.js";

/**
 * Remove registrations from the directory when they end (RFC 9176 section 5.3). One timer for all of them, asleep until
 * the earliest end and never longer than a day, since a lifetime may exceed what timers hold. Many that end at once are
 * removed in turns of the event loop; no lookup shows them meanwhile.
 */
export function startExpirySweep(deps: { readonly directory: Directory; readonly env: Environment }): {
  /** Stops the sweep. Idempotent. */
  close(): void;
} {
  const sweep = new ExpirySweep(deps.directory, deps.env);
  return { close: () => sweep.close() };
}

class ExpirySweep {
  readonly #directory: Directory;
  readonly #env: Environment;
  readonly #stopListening: readonly (() => void)[];
  #timer: Timer | null = null;
  #dueMs = Number.POSITIVE_INFINITY;
  /** When the directory was last asked for its earliest end. */
  #askedMs = Number.NEGATIVE_INFINITY;
  #isSweeping = false;
  #isClosed = false;

  constructor(directory: Directory, env: Environment) {
    this.#directory = directory;
    this.#env = env;
    const onChange = (): void => this.#onChange();
    this.#stopListening = [directory.on("source", onChange), directory.on("connection", onChange)];
    this.#arm();
  }

  close(): void {
    this.#isClosed = true;
    for (const stop of this.#stopListening) stop();
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** A change may bring an earlier end. No lifetime is so short that it could not wait for the next look. */
  #onChange(): void {
    if (this.#isSweeping) return;
    const nextLookMs = this.#askedMs + SWEEP_REARM_MS;
    if (this.#dueMs <= nextLookMs) return;
    if (this.#env.clock.nowMs() >= nextLookMs) this.#arm();
    else this.#sleepUntil(nextLookMs);
  }

  #sweep(): void {
    this.#timer = null;
    this.#isSweeping = true;
    const turns = turnsOf(this.#env.clock);
    void turns.start("expiry", (untilMs) => {
      do if (!this.#expireSome()) return false;
      while (turns.nowMs() < untilMs);
      return true;
    });
  }

  /** False when nothing more has ended, or the sweep is closed. */
  #expireSome(): boolean {
    if (this.#isClosed) return false;
    const nowMs = this.#env.clock.nowMs();
    try {
      this.#directory.expire(nowMs, ENDS_PER_STEP);
    } catch (error) {
      this.#env.logger.error("a listener of the directory failed", { error });
    }
    if ((this.#directory.nextExpiryMs() ?? Number.POSITIVE_INFINITY) <= nowMs) return true;
    this.#isSweeping = false;
    this.#arm();
    return false;
  }

  #arm(): void {
    const nowMs = this.#env.clock.nowMs();
    this.#askedMs = nowMs;
    const endMs = this.#directory.nextExpiryMs();
    if (endMs === undefined) this.#sleepUntil(Number.POSITIVE_INFINITY);
    else this.#sleepUntil(Math.min(endMs, nowMs + MAX_SWEEP_SLEEP_MS));
  }

  #sleepUntil(dueMs: number): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#dueMs = dueMs;
    if (dueMs === Number.POSITIVE_INFINITY) return;
    // At least a millisecond: timers may fire a little early, and the sweep must not run in circles.
    const delayMs = Math.max(1, dueMs - this.#env.clock.nowMs());
    this.#timer = this.#env.clock.setTimer(delayMs, () => this.#sweep());
  }
}
