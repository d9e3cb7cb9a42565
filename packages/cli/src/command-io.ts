/** What a command has to do with the process that runs it. */
export interface CommandIo {
  /** Write one line to stdout. */
  out(line: string): void;
  /** Write one line to stderr. */
  err(line: string): void;
  readonly stderr: NodeJS.WritableStream;
  /** All of stdin, at most `maxBytes`. @throws {RangeError} beyond. */
  readInput(maxBytes: number): Promise<Uint8Array>;
  /** Aborted by the first SIGINT or SIGTERM. The second ends the process at once. */
  readonly interrupt: AbortSignal;
  /** Aborted when nobody reads stdout any more. */
  readonly outputClosed: AbortSignal;
  /** Call `listener` on every SIGHUP; returns the way to stop. */
  onHangup(listener: () => void): () => void;
}

/** Exit status of a command line or configuration that is wrong. */
export const EXIT_USAGE = 2;
/** Exit status of work that failed. */
export const EXIT_FAILURE = 1;

/** Resolves once `signal` is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** The command line is wrong in a way that the parser of options cannot see. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "USAGE";
}
