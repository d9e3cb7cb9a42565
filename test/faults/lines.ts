import type { RunningProcess } from "../peers/peers.js";

/** The JSON lines that a process writes, read as they come. */
export class Lines<T> {
  readonly all: T[] = [];
  readonly #process: RunningProcess;
  readonly #each: (line: T) => void;
  #read = 0;

  constructor(process: RunningProcess, each: (line: T) => void = () => {}) {
    this.#process = process;
    this.#each = each;
  }

  /** Take what has come since; the whole of it so far. */
  poll(): readonly T[] {
    const text = this.#process.stdout();
    const end = text.lastIndexOf("\n") + 1;
    if (end <= this.#read) return this.all;
    for (const line of text.slice(this.#read, end - 1).split("\n")) {
      const parsed = JSON.parse(line) as T;
      this.all.push(parsed);
      this.#each(parsed);
    }
    this.#read = end;
    return this.all;
  }
}
