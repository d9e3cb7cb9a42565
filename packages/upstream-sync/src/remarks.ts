import { MAX_REMARKS } from "./constants.js";

/** Oddities of an upstream in words, for operators: each once, the newest kept. Nothing is lost by them, see `LeftOut` for that. */
export class Remarks {
  readonly #texts = new Set<string>();

  /** True when it is new. */
  add(text: string): boolean {
    if (this.#texts.has(text)) return false;
    this.#texts.add(text);
    if (this.#texts.size > MAX_REMARKS) this.#texts.delete(this.#texts.values().next().value as string);
    return true;
  }

  list(): string[] {
    return [...this.#texts];
  }
}
