/**
 * Places shared by several holders. A holder may take a place as long as it has no more than are free. So one alone gets about half of
 * all places, and others still find some.
 */
export class SharedPlaces {
  readonly #max: number;
  readonly #held = new Map<string, number>();
  #size = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Places taken. */
  get size(): number {
    return this.#size;
  }

  /** Whether `holder` may take one more place now. */
  hasPlace(holder: string): boolean {
    const free = this.#max - this.#size;
    return free > 0 && (this.#held.get(holder) ?? 0) <= free;
  }

  /** Takes a place for `holder`, who must have asked `hasPlace`. */
  take(holder: string): void {
    this.#held.set(holder, (this.#held.get(holder) ?? 0) + 1);
    this.#size++;
  }

  /** Frees one of the places of `holder`. */
  giveBack(holder: string): void {
    const left = (this.#held.get(holder) ?? 0) - 1;
    if (left > 0) this.#held.set(holder, left);
    else this.#held.delete(holder);
    this.#size--;
  }
}
