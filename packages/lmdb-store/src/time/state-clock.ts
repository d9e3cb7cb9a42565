import type { Clock, Timer } from "@tributary/runtime";

/** The clock of the host since it was started: what no correction of its wall clock changes. */
export interface HostUptime {
  /** Tells this start of the host from any other. */
  readonly hostStart: string;
  readonly uptimeMs: number;
}

/** One moment, on all clocks. */
export interface ClockAnchor {
  readonly stateMs: number;
  readonly wallMs: number;
  readonly host: HostUptime | null;
}

export interface StateClockDeps {
  readonly clock: Clock;
  /** Null where the host does not tell. */
  readonly hostUptime: () => HostUptime | null;
}

/** A wall clock that differs from the monotonic one by more than this was set; drift and measurement stay far below. */
const STEP_MS = 1000;
/** How often the wall clock is looked at. */
const WATCH_MS = 10_000;
/** An anchor that is older is written with the next record. */
const ANCHOR_LIFE_MS = 60_000;

/**
 * The time in which records are dated: it goes on with the monotonic clock while a process runs, so that a step of the wall
 * clock changes no age, and over a restart by how long the host says that it took, or else by the wall clock. On disk it is
 * tied to the other clocks by an anchor, which is written again after each step.
 */
export class StateClock {
  readonly #deps: StateClockDeps;
  readonly #writeAnchor: (anchor: ClockAnchor) => void;
  /** State time is the monotonic time plus this. */
  readonly #offsetMs: number;
  /** Wall time minus monotonic time, as last seen. */
  #wallOffsetMs: number;
  #anchoredAtMs: number;
  #timer: Timer | null = null;

  constructor(deps: StateClockDeps, anchor: ClockAnchor | undefined, writeAnchor: (anchor: ClockAnchor) => void) {
    const { clock, hostUptime } = deps;
    this.#deps = deps;
    this.#writeAnchor = writeAnchor;
    const wallMs = clock.wallMs();
    const stateMs = anchor === undefined ? wallMs : anchor.stateMs + elapsedSince(anchor, wallMs, hostUptime());
    this.#offsetMs = stateMs - clock.nowMs();
    this.#wallOffsetMs = wallMs - clock.nowMs();
    this.#anchoredAtMs = clock.nowMs();
    this.anchor();
    this.#watch();
  }

  /** The time on disk of a moment of the present wall clock. */
  toState(wallMs: number): number {
    this.check();
    return Math.round(wallMs - this.#deps.clock.wallMs() + this.#nowMs());
  }

  /** The present wall clock's reading of a time on disk. */
  toWall(stateMs: number): number {
    return Math.round(stateMs - this.#nowMs() + this.#deps.clock.wallMs());
  }

  /** Write the anchor when the wall clock was set, or the anchor is old. */
  check(): void {
    const { clock } = this.#deps;
    const wallOffsetMs = clock.wallMs() - clock.nowMs();
    const wasSet = Math.abs(wallOffsetMs - this.#wallOffsetMs) > STEP_MS;
    if (wasSet || clock.nowMs() - this.#anchoredAtMs > ANCHOR_LIFE_MS) this.anchor();
  }

  anchor(): void {
    const { clock, hostUptime } = this.#deps;
    this.#wallOffsetMs = clock.wallMs() - clock.nowMs();
    this.#anchoredAtMs = clock.nowMs();
    this.#writeAnchor({ stateMs: this.#nowMs(), wallMs: clock.wallMs(), host: hostUptime() });
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #nowMs(): number {
    return this.#deps.clock.nowMs() + this.#offsetMs;
  }

  #watch(): void {
    this.#timer = this.#deps.clock.setTimer(WATCH_MS, () => {
      const { clock } = this.#deps;
      if (Math.abs(clock.wallMs() - clock.nowMs() - this.#wallOffsetMs) > STEP_MS) this.anchor();
      this.#watch();
    });
  }
}

/** An anchor as it was kept, or undefined when it cannot be read. */
export function readAnchor(value: unknown): ClockAnchor | undefined {
  if (!Array.isArray(value) || value.length !== 4) return undefined;
  const [stateMs, wallMs, hostStart, uptimeMs] = value;
  if (!Number.isFinite(stateMs) || !Number.isFinite(wallMs)) return undefined;
  const host = typeof hostStart === "string" && Number.isFinite(uptimeMs) ? { hostStart, uptimeMs } : null;
  return { stateMs, wallMs, host };
}

export function packAnchor({ stateMs, wallMs, host }: ClockAnchor): readonly unknown[] {
  return [stateMs, wallMs, host?.hostStart ?? null, host?.uptimeMs ?? null];
}

/** A wall clock that was set back does not make anything younger. */
function elapsedSince(anchor: ClockAnchor, wallMs: number, host: HostUptime | null): number {
  if (host !== null && anchor.host !== null && host.hostStart === anchor.host.hostStart)
    return Math.max(0, host.uptimeMs - anchor.host.uptimeMs);
  return Math.max(0, wallMs - anchor.wallMs);
}
