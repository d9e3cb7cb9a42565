/** A replay window as it is kept on disk: every number below `index` was seen, and those whose bit is set above it. */
export interface StoredWindow {
  readonly index: number;
  /** Bit 0 stands for `index`. */
  readonly bitfield: bigint;
}

/** Which sequence numbers of the other side were received (RFC 8613 section 7.4). Its size is bounded by that of the window. */
export class ReplayWindow {
  readonly #size: number;
  /** The lowest number that may still be accepted. */
  #index = 0;
  /** Numbers from `#index` on that were received. */
  readonly #seen = new Set<number>();
  #isValid: boolean;

  /** Without `stored`, nothing was received yet; `unknown`: numbers are accepted only after `restart`. */
  constructor(size: number, stored?: StoredWindow | "unknown") {
    this.#size = size;
    this.#isValid = stored !== "unknown";
    if (stored === undefined || stored === "unknown") return;
    this.#index = stored.index;
    for (let offset = 0, bits = stored.bitfield; bits > 0n && offset < size; offset++, bits >>= 1n)
      if ((bits & 1n) === 1n) this.#seen.add(this.#index + offset);
    this.#advance();
  }

  /** False after a restart, when it is not known what was received before (RFC 8613 appendix B.1.2). */
  get isValid(): boolean {
    return this.#isValid;
  }

  /** Whether this number was not received before, as far as is known. */
  isNew(number: number): boolean {
    return this.#isValid && number >= this.#index && !this.#seen.has(number);
  }

  /** Notes a number that was received, and moves the window so that it is inside. */
  accept(number: number): void {
    if (number < this.#index) return;
    const lowest = number - this.#size + 1;
    if (lowest > this.#index) {
      this.#index = lowest;
      for (const seen of this.#seen) if (seen < lowest) this.#seen.delete(seen);
    }
    this.#seen.add(number);
    this.#advance();
  }

  /** Makes the window valid: `number` is known to be fresh, and nothing below it is accepted any more. */
  restart(number: number): void {
    this.#seen.clear();
    this.#index = number + 1;
    this.#isValid = true;
  }

  store(): StoredWindow | "unknown" {
    if (!this.#isValid) return "unknown";
    let bitfield = 0n;
    for (const seen of this.#seen) bitfield |= 1n << BigInt(seen - this.#index);
    return { index: this.#index, bitfield };
  }

  #advance(): void {
    while (this.#seen.delete(this.#index)) this.#index++;
  }
}
