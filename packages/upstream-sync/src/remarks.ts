import { MAX_REMARKS } from "./constants.js";

/** What of an upstream was not taken over: a document or notification, a record, or a record for which there is no room. */
export type RejectionCause = "upstream-unreadable" | "upstream-record" | "directory-full";

/** Oddities of an upstream in words, each once, the newest kept; what was left out is counted each time as well. */
export class Remarks {
  readonly #texts = new Set<string>();
  readonly #rejected = new Map<string, number>();

  /** True when it is new. */
  add(text: string): boolean {
    if (this.#texts.has(text)) return false;
    this.#texts.add(text);
    if (this.#texts.size > MAX_REMARKS) this.#texts.delete(this.#texts.values().next().value as string);
    return true;
  }

  /** Something was left out. True when the remark is new. */
  reject(cause: RejectionCause, text: string): boolean {
    this.#rejected.set(cause, (this.#rejected.get(cause) ?? 0) + 1);
    return this.add(text);
  }

  list(): string[] {
    return [...this.#texts];
  }

  /** What was left out, by cause. Monotonic. */
  get rejected(): ReadonlyMap<string, number> {
    return this.#rejected;
  }
}
