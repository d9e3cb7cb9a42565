import { bytesEqual } from "./message.js";

const FIRST_CAPACITY_BYTES = 2048;
/** Beyond this, copying the bytes to a larger buffer takes too much of one turn of the event loop. */
const LARGE_BYTES = 524_288;
/** Address space that is reserved for a large body: memory is taken only as the body grows. */
const RESERVED_BYTES = 134_217_728;
/** Memory that a large body takes at once. */
const GROWTH_BYTES = 524_288;

/** A body that arrives block by block. Blocks are copied once, so that tiny ones cost no more than their bytes. */
export class GrowingBytes {
  length = 0;
  #bytes: Uint8Array = new Uint8Array(FIRST_CAPACITY_BYTES);

  /** Appends a block. */
  append(block: Uint8Array): void {
    const needed = this.length + block.length;
    if (needed > this.#bytes.length) this.#grow(needed);
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

  #grow(needed: number): void {
    const { buffer } = this.#bytes;
    if (buffer instanceof ArrayBuffer && buffer.resizable && needed <= buffer.maxByteLength) {
      buffer.resize(Math.min(needed + GROWTH_BYTES, buffer.maxByteLength));
      this.#bytes = new Uint8Array(buffer, 0, buffer.byteLength);
      return;
    }
    const grown = needed > LARGE_BYTES ? reserved(needed) : new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }
}

/** A buffer that can grow in place, where there is address space for it. */
function reserved(needed: number): Uint8Array {
  try {
    const maxByteLength = Math.max(RESERVED_BYTES, needed * 2);
    const buffer = new ArrayBuffer(needed + GROWTH_BYTES, { maxByteLength });
    return new Uint8Array(buffer, 0, buffer.byteLength);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return new Uint8Array(needed * 2);
  }
}
