/** Counts what long work looks at, so that it can be interrupted after so much of it. */
export class Pace {
  readonly #perStep: number;
  #looked = 0;

  /** `perStep`: items between two pauses; infinite: none. */
  constructor(perStep: number) {
    this.#perStep = perStep;
  }

  /** So many more items were looked at; true: it is time for a pause. */
  isPause(items = 1): boolean {
    this.#looked += items;
    if (this.#looked < this.#perStep) return false;
    this.#looked = 0;
    return true;
  }
}
