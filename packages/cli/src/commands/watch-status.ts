import type { Clock } from "@tributary/runtime";
import type { CommandIo } from "../command-io.js";
import { type StatusOptions, status } from "./status.js";

/** Moves the cursor of a terminal to its upper left corner, and clears what is below. */
const CLEAR = "\u001b[H\u001b[J";

/** Collaborators of `watchStatus`. */
export interface WatchStatusDeps {
  readonly io: CommandIo;
  readonly fetch: typeof globalThis.fetch;
  readonly clock: Clock;
}

/**
 * `tributary status --watch`: prints the status again and again until interrupted, in place on a terminal. A node that does not respond is
 * asked again. Returns the exit status.
 */
export async function watchStatus(
  options: StatusOptions & { readonly everySeconds: number },
  { io, fetch, clock }: WatchStatusDeps,
): Promise<number> {
  const isOver = (): boolean => io.interrupt.aborted || io.outputClosed.aborted;
  for (let round = 0; !isOver(); round++) {
    const lines: string[] = [];
    const collecting: CommandIo = Object.assign(Object.create(io) as CommandIo, {
      out: (line: string) => void lines.push(line),
      err: (line: string) => void lines.push(line),
    });
    await status(options, { io: collecting, fetch });
    if (isOver()) break;
    const time = new Date(clock.wallMs()).toISOString();
    if (io.isTerminal === true) io.out(`${CLEAR}${[time, "", ...lines].join("\n")}`);
    else if (options.json) for (const line of lines) io.out(line);
    else for (const line of [...(round === 0 ? [] : [""]), time, ...lines]) io.out(line);
    await pause(clock, options.everySeconds * 1000, io.interrupt);
  }
  return 0;
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(ms, done);
    signal.addEventListener("abort", done, { once: true });
    function done(): void {
      timer.cancel();
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
