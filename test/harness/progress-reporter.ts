import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Reporter, TestModule, TestSpecification, Vitest } from "vitest/node";
import { type Durations, estimateS, type PlannedFile, readDurations, spokenTime, writeDurations } from "./durations.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** Measured on a quiet machine with two cores. */
const MEASURED = fileURLToPath(new URL("durations.json", import.meta.url));
/** What this machine needed the last time, file by file. */
const LAST_RUN = `${root}node_modules/.cache/tributary/test-durations.json`;
/** The same of the fast loop, in which files take less time. */
const LAST_FAST_RUN = `${root}node_modules/.cache/tributary/fast-test-durations.json`;
/** What a new test file is taken to need, s. In the fast loop that is the mean of all. */
const UNKNOWN_S = 1;
const UNKNOWN_FAST_S = 0.25;
const INTERVAL_MS = 15_000;
/** From here on the pace of this run says more than the durations of an earlier one, s of work. */
const ENOUGH_FOR_PACE_S = 20;

/**
 * Says on stderr how long a run will take, and every 15 s how far it is. Stands beside another reporter, with or without a
 * terminal.
 */
export default class ProgressReporter implements Reporter {
  readonly #isFast = process.env.FAST_TESTS !== undefined;
  readonly #lastRun = this.#isFast ? LAST_FAST_RUN : LAST_RUN;
  #workers = 1;
  #startMs = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #known: Durations = {};
  #finishedS = 0;
  readonly #waiting = new Map<string, PlannedFile>();
  readonly #queuedMs = new Map<string, number>();
  readonly #running = new Set<string>();
  readonly #measured: Record<string, number> = {};
  #total = 0;

  onInit(vitest: Vitest): void {
    this.#workers = Number(vitest.config.maxWorkers) || 1;
  }

  onTestRunStart(specifications: readonly TestSpecification[]): void {
    const measuredHere = readDurations(this.#lastRun);
    this.#known = this.#isFast ? measuredHere : { ...readDurations(MEASURED), ...measuredHere };
    for (const { moduleId, project } of specifications) {
      const path = relative(root, moduleId);
      this.#waiting.set(path, { path, isParallel: (project.config.maxWorkers ?? this.#workers) !== 1 });
    }
    this.#total = this.#waiting.size;
    this.#startMs = performance.now();
    const isFromHere = [...this.#waiting.keys()].every((path) => Object.hasOwn(measuredHere, path));
    const source = isFromHere ? "as the last time" : "on a quiet machine with two cores";
    this.#say(
      `${this.#total} test ${this.#total === 1 ? "file" : "files"}, about ${spokenTime(this.#restS())} ${source}`,
    );
    this.#timer = setInterval(() => this.#sayProgress(), INTERVAL_MS);
    this.#timer.unref();
  }

  onTestModuleQueued({ moduleId }: TestModule): void {
    const path = relative(root, moduleId);
    this.#queuedMs.set(path, performance.now());
    this.#running.add(path);
  }

  onTestModuleEnd(module: TestModule): void {
    const path = relative(root, module.moduleId);
    const file = this.#waiting.get(path);
    const queuedMs = this.#queuedMs.get(path);
    this.#running.delete(path);
    this.#waiting.delete(path);
    if (file !== undefined) this.#finishedS += this.#estimateS([file]) / this.#share(file);
    if (queuedMs !== undefined && module.state() === "passed")
      this.#measured[path] = Math.round((performance.now() - queuedMs) / 100) / 10;
  }

  onTestRunEnd(): void {
    clearInterval(this.#timer);
    // Under a name filter files take less time than they will the next time.
    if (!process.argv.some((word) => /^(-t|--testNamePattern)/.test(word)))
      writeDurations(this.#lastRun, { ...readDurations(this.#lastRun), ...this.#measured });
    this.#waiting.clear();
  }

  #share({ isParallel }: PlannedFile): number {
    return isParallel ? this.#workers : 1;
  }

  #estimateS(files: Iterable<PlannedFile>): number {
    return estimateS(files, this.#known, this.#workers, this.#isFast ? UNKNOWN_FAST_S : UNKNOWN_S);
  }

  #restS(): number {
    return this.#estimateS(this.#waiting.values());
  }

  #sayProgress(): void {
    const elapsedS = (performance.now() - this.#startMs) / 1000;
    const pace = this.#finishedS < ENOUGH_FOR_PACE_S ? 1 : elapsedS / this.#finishedS;
    const running = [...this.#running].slice(0, 2).join(", ");
    this.#say(
      `${this.#total - this.#waiting.size} of ${this.#total} test files after ${spokenTime(elapsedS)}, ` +
        `about ${spokenTime(this.#restS() * pace)} to go${running === "" ? "" : `; running ${running}`}`,
    );
  }

  #say(text: string): void {
    process.stderr.write(`-- ${text}\n`);
  }
}
