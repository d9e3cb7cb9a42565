import type { Clock, Timer } from "@tributary/runtime";

/** Uptime of the host, which is independent of its wall clock. */
export interface HostUptime {
  /** Identifies this boot of the host. */
  readonly hostStart: string;
  readonly uptimeMs: number;
}

/** The same moment on all clocks. */
export interface ClockAnchor {
  readonly stateMs: number;
  readonly wallMs: number;
  readonly host: HostUptime | null;
}

export interface StateClockDeps {
  readonly clock: Clock;
  /** Null where the host does not report it. */
  readonly hostUptime: () => HostUptime | null;
}

/** A larger jump between wall clock and monotonic clock means that the wall clock was set; drift stays far below. */
const STEP_MS = 1000;
/** Interval between checks of the wall clock. */
const WATCH_MS = 10_000;
/** An older anchor is replaced with the next write of a record. */
const ANCHOR_LIFE_MS = 60_000;

/**
 * The clock of the times on disk. While a process runs it follows the monotonic clock, so that a step of the wall clock changes no
 * age. Across a restart it advances by the uptime of the host, or else by the wall clock. An anchor on disk relates it to the
 * other clocks; it is written again after each step of the wall clock.
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

  /** Converts wall-clock time to the time on disk. */
  toState(wallMs: number): number {
    this.check();
    return Math.round(wallMs - this.#deps.clock.wallMs() + this.#nowMs());
  }

  /** Converts the time on disk to wall-clock time. */
  toWall(stateMs: number): number {
    return Math.round(stateMs - this.#nowMs() + this.#deps.clock.wallMs());
  }

  /** Writes a new anchor when the wall clock was set, or the anchor is old. */
  check(): void {
    const { clock } = this.#deps;
    const wallOffsetMs = clock.wallMs() - clock.nowMs();
    const wasSet = Math.abs(wallOffsetMs - this.#wallOffsetMs) > STEP_MS;
    if (wasSet || clock.nowMs() - this.#anchoredAtMs > ANCHOR_LIFE_MS) this.anchor();
  }

  /** Writes a new anchor. */
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

/** Decodes an anchor; undefined when it cannot be read. */
export function readAnchor(value: unknown): ClockAnchor | undefined {
  if (!Array.isArray(value) || value.length !== 4) return undefined;
  const [stateMs, wallMs, hostStart, uptimeMs] = value;
  if (!Number.isFinite(stateMs) || !Number.isFinite(wallMs)) return undefined;
  const host = typeof hostStart === "string" && Number.isFinite(uptimeMs) ? { hostStart, uptimeMs } : null;
  return { stateMs, wallMs, host };
}

/** Encodes an anchor. */
export function packAnchor({ stateMs, wallMs, host }: ClockAnchor): readonly unknown[] {
  return [stateMs, wallMs, host?.hostStart ?? null, host?.uptimeMs ?? null];
}

/** Time since the anchor, ms; 0 when the wall clock was set back. */
function elapsedSince(anchor: ClockAnchor, wallMs: number, host: HostUptime | null): number {
  if (host !== null && anchor.host !== null && host.hostStart === anchor.host.hostStart)
    return Math.max(0, host.uptimeMs - anchor.host.uptimeMs);
  return Math.max(0, wallMs - anchor.wallMs);
}
