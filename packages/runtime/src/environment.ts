/** A timer that can be cancelled. Cancelling twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

/** Time as the outside world gives it. Injected everywhere, so that tests and simulations run in virtual time. */
export interface Clock {
  /** Milliseconds on a monotonic clock; the origin is arbitrary. Never jumps. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch, for persistence and people. May jump. */
  wallMs(): number;
  /** Call `callback` once after `delayMs` (any non-negative number; delays beyond 2^31 ms are kept exactly). */
  setTimer(delayMs: number, callback: () => void): Timer;
}

/** Uniform random number in [0, 1). */
export type Random = () => number;

/** Structured log: a short constant message and fields. `info` is for operators, `debug` for developers. */
export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** What a component needs from outside besides its collaborators. */
export interface Environment {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}
