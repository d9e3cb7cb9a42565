/** Memory that many share. */
export class ByteBudget {
  readonly #max: number;
  #held = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Hold `next` bytes in the place of `previous`; false, and nothing is changed, when there is no room for more. */
  replace(previous: number, next: number): boolean {
    const held = this.#held - previous + next;
    if (next > previous && held > this.#max) return false;
    this.#held = held;
    return true;
  }
}
