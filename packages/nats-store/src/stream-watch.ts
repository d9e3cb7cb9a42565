import type { StoreHealth } from "@tributary/resource-directory";
import type { Environment, Timer } from "@tributary/runtime";
import { AWAY_MS, AWAY_PROBE_MS, DELIVERY_MS, PROBE_MS } from "./constants.js";
import type { SharedStream, StreamState } from "./shared-stream.js";
import type { StreamReader } from "./stream-reader.js";

/** Collaborators of `StreamWatch`. */
export interface StreamWatchDeps {
  readonly env: Environment;
  readonly stream: SharedStream;
  readonly reader: StreamReader;
}

/**
 * Finds out whether the stream takes writes and delivers changes: servers in a minority are silent rather than say so. A stream that was
 * emptied, made again or restored from an older state is an alarm that stays: its silence about registrations means nothing.
 */
export class StreamWatch {
  readonly #deps: StreamWatchDeps;
  readonly #listeners: (() => void)[] = [];
  #health: StoreHealth = { isAway: false };
  #alarm: string | null = null;
  #doubt: string | undefined;
  #lastSuccessMs: number;
  #lastState: StreamState | null = null;
  #isStalled = false;
  #hasFailed = false;
  #timer: Timer | null = null;
  #isClosed = false;
  #probes = { succeeded: 0, failed: 0 };
  /** The leader of the stream responded to the latest request that is settled, see `#askLeader`. */
  #hasLeader = false;
  #asked = 0;
  #settled = 0;
  #leaderTimer: Timer | null = null;
  #trying: Promise<boolean> | null = null;
  /** When a write was tried last while the store is away. */
  #triedAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: StreamWatchDeps) {
    this.#deps = deps;
    this.#lastSuccessMs = deps.env.clock.nowMs();
  }

  get health(): StoreHealth {
    return this.#health;
  }

  /** Probes by outcome. Monotonic. */
  get probes(): { readonly succeeded: number; readonly failed: number } {
    return this.#probes;
  }

  /** Messages that the stream has beyond those that were delivered, as of the last probe. */
  get lag(): number {
    return Math.max(0, (this.#lastState?.lastSequence ?? 0) - this.#deps.reader.delivered);
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /**
   * A write was stored, and its change delivered. The servers elect the leaders of the stream and of the one that probes are written to
   * apart: whichever takes a write first shows that there is a majority.
   */
  noteWritten(): void {
    if (this.#alarm !== null || this.#doubt !== undefined) return;
    this.#lastSuccessMs = this.#deps.env.clock.nowMs();
    this.#report(undefined);
  }

  /** Whether a write may be tried: always while the store is there; while it is away one now and then, if the stream has a leader. */
  mayWrite(): boolean {
    const { isAway, isDoubtful } = this.#health;
    if (!isAway) return true;
    const nowMs = this.#deps.env.clock.nowMs();
    if (isDoubtful === true || !this.#hasLeader || nowMs - this.#triedAtMs < AWAY_PROBE_MS) return false;
    this.#triedAtMs = nowMs;
    return true;
  }

  /** Takes over a state of the stream: the clock of its leader. */
  noteState(state: StreamState): void {
    this.#lastState = state;
  }

  /** Local wall-clock time of a moment of the stream, ms. */
  readonly toLocalMs = (streamMs: number): number => {
    const state = this.#lastState;
    return state === null ? streamMs : streamMs + (state.localTimeMs - state.timeMs);
  };

  start(): void {
    this.#lastSuccessMs = this.#deps.env.clock.nowMs();
    this.#schedule(PROBE_MS);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#leaderTimer?.cancel();
  }

  #schedule(delayMs: number): void {
    if (!this.#isClosed) this.#timer = this.#deps.env.clock.setTimer(delayMs, () => void this.#probe());
  }

  /** Never rejects. */
  async #probe(): Promise<void> {
    const { env, stream } = this.#deps;
    const late = env.clock.setTimer(this.#untilAwayMs(), () => this.#judge("it does not respond"));
    // Messages go on arriving while the answer is on its way.
    const delivered = this.#deps.reader.delivered;
    try {
      const [asked, probed] = await Promise.allSettled([this.#askLeader(), stream.probe()]);
      const failure = [asked, probed].find((one) => one.status === "rejected");
      // What does not arrive is looked after as soon as the stream has a leader, whatever became of the probe.
      if (failure === undefined) this.#lastSuccessMs = env.clock.nowMs();
      const isBack = failure === undefined && this.#hasFailed;
      const problem =
        asked.status === "fulfilled" ? await this.#examine(asked.value, { delivered, isBack }) : undefined;
      if (failure === undefined) {
        this.#probes.succeeded++;
        this.#hasFailed = false;
        this.#report(problem);
      } else {
        this.#probes.failed++;
        this.#hasFailed = true;
        const { reason } = failure;
        if (this.#doubt !== undefined || this.#alarm !== null) this.#report(problem);
        else this.#judge(reason instanceof Error ? reason.message : String(reason));
      }
    } catch (error) {
      this.#hasFailed = true;
      this.#judge(error instanceof Error ? error.message : String(error));
    } finally {
      late.cancel();
      // A doubt is looked at again no sooner: a leader that was just elected needs its time.
      const isSilent = this.#health.isAway && this.#health.isDoubtful !== true;
      this.#schedule(isSilent ? AWAY_PROBE_MS : PROBE_MS);
    }
  }

  #askLeader(): Promise<StreamState> {
    const number = ++this.#asked;
    const note = (hasLeader: boolean): void => {
      if (number < this.#settled) return;
      this.#settled = number;
      this.#hasLeader = hasLeader;
    };
    const asked = this.#deps.stream.state();
    asked.then(
      () => note(true),
      () => note(false),
    );
    return asked;
  }

  /** A request that was sent before there was a leader is given up after seconds: while the store is away, others follow it. */
  readonly #lookForLeader = (): void => {
    this.#leaderTimer = null;
    if (this.#isClosed || !this.#health.isAway) return;
    this.#askLeader().then(
      () => (this.#health.isAway && this.#health.isDoubtful !== true ? this.#tryWrite() : false),
      () => false,
    );
    this.#leaderTimer = this.#deps.env.clock.setTimer(AWAY_PROBE_MS, this.#lookForLeader);
  };

  /**
   * Finds out whether the stream takes writes again, before the stream of probes has a leader. Never rejects. Once at a time: following the
   * stream again takes a moment, in which it must not begin once more.
   */
  #tryWrite(): Promise<boolean> {
    this.#trying ??= this.#touch().finally(() => {
      this.#trying = null;
    });
    return this.#trying;
  }

  async #touch(): Promise<boolean> {
    const { stream, reader } = this.#deps;
    try {
      const sequence = await stream.touch();
      if (!(await reader.until(sequence, DELIVERY_MS))) await reader.restart();
      if (!(await reader.until(sequence, PROBE_MS))) return false;
      this.noteWritten();
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Returns what is wrong with the stream, or with what arrives of it; undefined: nothing. `delivered`: what had been delivered when the
   * state was asked for. `isBack`: the probe before failed.
   */
  async #examine(
    state: StreamState,
    { delivered, isBack }: { readonly delivered: number; readonly isBack: boolean },
  ): Promise<string | undefined> {
    const { env, reader } = this.#deps;
    const doubt = this.#doubtOf(state, delivered);
    // A leader that was just elected may not have applied everything yet: a state counts when it is found twice.
    if (doubt !== undefined && this.#doubt !== undefined) this.#alarm ??= doubt;
    this.#doubt = doubt;
    if (doubt !== undefined) return `${doubt}, which is looked at again`;
    const before = this.#lastState;
    this.#lastState = state;
    // After an outage nothing can be relied upon.
    if (this.#alarm === null && (isBack || (await this.#isStuck(state)))) {
      env.logger.debug("the shared store is followed again", { delivered: reader.delivered });
      await reader.restart();
      await reader.until(state.lastSequence, PROBE_MS);
    }
    const isBehind = reader.delivered < (before?.lastSequence ?? 0);
    // One probe later: a long way to catch up is no outage.
    const wasStalled = this.#isStalled;
    this.#isStalled = isBehind;
    return isBehind && wasStalled ? "changes of other instances do not arrive" : undefined;
  }

  /** Whether what the stream has does not arrive: who has a long way to go gets on all the same. */
  async #isStuck({ lastSequence }: StreamState): Promise<boolean> {
    const { reader } = this.#deps;
    const { delivered } = reader;
    return !(await reader.until(lastSequence, DELIVERY_MS)) && reader.delivered === delivered;
  }

  /** Why this is another stream, or an emptied or older state of it; undefined: it is the one that is followed. */
  #doubtOf({ created, firstSequence, lastSequence }: StreamState, delivered: number): string | undefined {
    const { stream } = this.#deps;
    if (created !== stream.created) return `the stream was made at ${created}, not ${stream.created}`;
    if (firstSequence > 1) return `the stream was emptied: it begins with message ${firstSequence}`;
    if (lastSequence >= delivered) return undefined;
    return `the stream ends at ${lastSequence}, and had ${delivered} messages before`;
  }

  #untilAwayMs(): number {
    return Math.max(0, this.#lastSuccessMs + AWAY_MS - this.#deps.env.clock.nowMs());
  }

  /** A probe failed, or takes long. */
  #judge(reason: string): void {
    if (this.#untilAwayMs() > 0) return;
    if (!this.#hasLeader || this.#health.isAway) this.#report(reason);
    else {
      // Perhaps it is only the stream of probes that has no leader.
      void this.#tryWrite().then((isTaken) => {
        if (!isTaken && this.#untilAwayMs() <= 0) this.#report(reason);
      });
    }
  }

  #report(problem: string | undefined): void {
    if (this.#isClosed) return;
    const reason = this.#alarm ?? problem;
    const isDoubtful = this.#alarm !== null || this.#doubt !== undefined;
    const health: StoreHealth =
      reason === undefined ? { isAway: false } : { isAway: true, reason, ...(isDoubtful ? { isDoubtful } : {}) };
    if (health.isAway === this.#health.isAway && health.reason === this.#health.reason) return;
    const wasAway = this.#health.isAway;
    this.#health = health;
    if (health.isAway && this.#leaderTimer === null)
      this.#leaderTimer = this.#deps.env.clock.setTimer(AWAY_PROBE_MS, this.#lookForLeader);
    if (wasAway === health.isAway && this.#alarm === null) return;
    const { logger } = this.#deps.env;
    if (this.#alarm !== null)
      logger.error(
        "the shared store is not the one that was followed; nothing is written to it, and lookups are partial",
        {
          reason: this.#alarm,
          remedy: "restore the stream, or restart this instance to take the stream as it is",
        },
      );
    else if (health.isAway && !wasAway) logger.warn("the shared store is away; lookups go on, as partial", { reason });
    else if (!health.isAway) logger.info("the shared store is back");
    for (const listener of this.#listeners) listener();
  }
}
