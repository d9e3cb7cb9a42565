import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** How long test files take, seconds, by path from the root of the clone. */
export type Durations = Readonly<Record<string, number>>;

/** Durations that a file holds; none when it is missing or damaged, because they only serve an estimate. */
export function readDurations(file: string): Durations {
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof value !== "object" || value === null) return {};
    return Object.fromEntries(Object.entries(value).filter(([, seconds]) => typeof seconds === "number"));
  } catch {
    return {};
  }
}

export function writeDurations(file: string, durations: Durations): void {
  mkdirSync(dirname(file), { recursive: true });
  const sorted = Object.entries(durations).sort(([one], [other]) => (one < other ? -1 : 1));
  writeFileSync(file, `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`);
}

/** One test file of a run. */
export interface PlannedFile {
  readonly path: string;
  /** Runs beside others; otherwise it has the machine to itself. */
  readonly isParallel: boolean;
}

/** Seconds until all of `files` are through, with `workers` for those that run beside others, and `unknownS` for a new one. Pure. */
export function estimateS(files: Iterable<PlannedFile>, known: Durations, workers: number, unknownS: number): number {
  let parallelS = 0;
  let longestS = 0;
  let alone = 0;
  for (const { path, isParallel } of files) {
    const seconds = Object.hasOwn(known, path) ? (known[path] as number) : unknownS;
    if (!isParallel) alone += seconds;
    else {
      parallelS += seconds;
      longestS = Math.max(longestS, seconds);
    }
  }
  return alone + Math.max(longestS, parallelS / Math.max(1, workers));
}

/** E.g. `45 s`, `7 min`, `1 h 05 min`. Pure. */
export function spokenTime(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}
