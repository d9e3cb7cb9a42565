/** A budget of bytes with several users. */
export class ByteBudget {
  readonly #max: number;
  #used = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Replaces a share of `previous` bytes by one of `next` bytes. Returns false, without effect, when there is no room. */
  replace(previous: number, next: number): boolean {
    const used = this.#used - previous + next;
    if (next > previous && used > this.#max) return false;
    this.#used = used;
    return true;
  }
}
