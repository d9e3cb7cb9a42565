import type { Logger } from "@tributary/runtime";

/** Input, output and signals of a command. */
export interface CommandIo {
  /** Writes one line to stdout. */
  out(line: string): void;
  /** Writes one line to stderr. */
  err(line: string): void;
  readonly stderr: NodeJS.WritableStream;
  /** Whether stdout is a terminal. Default false. */
  readonly isTerminal?: boolean;
  /** Traces packets, with `--trace coap`. Absent: nothing is logged. */
  readonly packets?: Logger;
  /** Reads all of stdin. @throws {RangeError} when it has more than `maxBytes`. */
  readInput(maxBytes: number): Promise<Uint8Array>;
  /** Aborted by the first SIGINT or SIGTERM. The second ends the process at once. */
  readonly interrupt: AbortSignal;
  /** Aborted when the reader of stdout has gone away. */
  readonly outputClosed: AbortSignal;
  /** Calls `listener` on every SIGHUP; returns the function that stops that. */
  onHangup(listener: () => void): () => void;
}

/** Exit status for a wrong command line or configuration. */
export const EXIT_USAGE = 2;
/** Exit status for a failure. */
export const EXIT_FAILURE = 1;

/** Resolves once `signal` is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** An error of the command line that the option parser cannot detect. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "USAGE";
}
