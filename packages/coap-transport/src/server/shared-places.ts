/**
 * Places that several holders take for a while. A holder has a place as long as it holds no more than what is free: alone it gets
 * about half of all places, so that there is one for whoever comes next.
 */
export class SharedPlaces {
  readonly #max: number;
  readonly #held = new Map<string, number>();
  #size = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Places that are taken. */
  get size(): number {
    return this.#size;
  }

  hasPlace(holder: string): boolean {
    const free = this.#max - this.#size;
    return free > 0 && (this.#held.get(holder) ?? 0) <= free;
  }

  take(holder: string): void {
    this.#held.set(holder, (this.#held.get(holder) ?? 0) + 1);
    this.#size++;
  }

  giveBack(holder: string): void {
    const left = (this.#held.get(holder) ?? 0) - 1;
    if (left > 0) this.#held.set(holder, left);
    else this.#held.delete(holder);
    this.#size--;
  }
}
