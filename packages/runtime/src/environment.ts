/** A timer that can be cancelled. Cancelling it again, or after it fired, does nothing. */
export interface Timer {
  /** Cancels the timer. Idempotent. */
  cancel(): void;
}

/** A source of time. Injected everywhere, so that tests and simulations run in virtual time. */
export interface Clock {
  /** Milliseconds on a monotonic clock; the origin is arbitrary. Never jumps. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch, for persistence and people. May jump. */
  wallMs(): number;
  /** Calls `callback` once after `delayMs`, which may be any non-negative number, also beyond 2^31. */
  setTimer(delayMs: number, callback: () => void): Timer;
}

/** Uniform random number in [0, 1). */
export type Random = () => number;

/** A structured log: each entry is a short constant message with fields. `info` is for operators, `debug` for developers. */
export interface Logger {
  /** Packets, one entry each. Absent unless packets are traced, so that it costs nothing. */
  trace?(message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Logs what developers need. */
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Logs what operators want to know. */
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Logs what operators may have to look into. */
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Logs a failure. */
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Clock, randomness and log of a component. */
export interface Environment {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}
