import { bytesEqual } from "./message.js";

const FIRST_CAPACITY_BYTES = 2048;

/** A body that arrives block by block. Blocks are copied once, so that tiny ones cost no more than their bytes. */
export class GrowingBytes {
  length = 0;
  #bytes = new Uint8Array(FIRST_CAPACITY_BYTES);

  /** Appends a block. */
  append(block: Uint8Array): void {
    const needed = this.length + block.length;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, this.length));
      this.#bytes = grown;
    }
    this.#bytes.set(block, this.length);
    this.length = needed;
  }

  /** Whether the bytes end with this block. */
  endsWith(block: Uint8Array): boolean {
    return bytesEqual(this.#bytes.subarray(this.length - block.length, this.length), block);
  }

  /** What arrived so far; a view until the next `append`. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}
