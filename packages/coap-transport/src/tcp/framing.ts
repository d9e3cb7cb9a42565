import { EMPTY_BYTES, type Message, type OutgoingMessage } from "../message/message.js";
import { optionsLength, readOptions, writeOptions } from "../message/option-codec.js";
import type { CoapOption } from "../types.js";

/** Why a stream cannot be read any further. */
export type FramingFailure = "malformed" | "too-large";

/** What the next bytes are: a message, nothing whole yet (`null`), or the end of all understanding. */
export type FramingResult = Message | FramingFailure | null;

const MAX_TOKEN_BYTES = 8;
/** Lengths that one, two and four bytes of extended length start from (RFC 8323 section 3.2). */
const LENGTH_BASE_8 = 13;
const LENGTH_BASE_16 = 269;
const LENGTH_BASE_32 = 65_805;
const MIN_CAPACITY_BYTES = 1024;

/**
 * Takes messages out of a byte stream (RFC 8323 section 3.2), however it is cut into chunks. Every byte is copied a bounded
 * number of times; what is held is less than the last chunk and two messages of the largest size allowed, whatever a
 * header claims.
 */
export class StreamParser {
  readonly #maxMessageBytes: number;
  #buffer: Uint8Array = EMPTY_BYTES;
  /** The buffer was made here, so that there may be room behind `#end`. */
  #isOwn = false;
  #start = 0;
  #end = 0;
  #failure: FramingFailure | null = null;

  /** `maxMessageBytes`: header, token, options and payload together. */
  constructor(options: { maxMessageBytes: number }) {
    this.#maxMessageBytes = options.maxMessageBytes;
  }

  /** Bytes that are waiting for the rest of their message, or to be asked for. */
  get heldBytes(): number {
    return this.#end - this.#start;
  }

  /** Add what arrived. The chunk must not be changed afterwards: messages are views into it. */
  push(chunk: Uint8Array): void {
    if (this.#failure !== null) return;
    const held = this.heldBytes;
    if (held === 0) {
      this.#buffer = chunk;
      this.#isOwn = false;
      this.#start = 0;
      this.#end = chunk.length;
      return;
    }
    if (!this.#isOwn || this.#end + chunk.length > this.#buffer.length) this.#move(held, held + chunk.length);
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The next whole message. After a failure always that failure. */
  next(): FramingResult {
    if (this.#failure !== null) return this.#failure;
    const held = this.heldBytes;
    if (held < 2) return null;
    const buffer = this.#buffer;
    const first = buffer[this.#start] as number;
    const nibble = first >> 4;
    const tokenLength = first & 15;
    if (tokenLength > MAX_TOKEN_BYTES) return this.#fail("malformed");
    const extension = nibble < 13 ? 0 : 1 << (nibble - 13);
    if (held < 2 + extension) return null;
    const length = extendedLength(buffer, this.#start + 1, nibble);
    const tokenStart = this.#start + 2 + extension;
    const bodyStart = tokenStart + tokenLength;
    const wireBytes = 2 + extension + tokenLength + length;
    if (wireBytes > this.#maxMessageBytes) return this.#fail("too-large");
    if (held < wireBytes) return null;
    const end = this.#start + wireBytes;
    const code = buffer[tokenStart - 1] as number;
    const options: CoapOption[] = [];
    const body = buffer.subarray(bodyStart, end);
    const payloadStart = readOptions(body, 0, options);
    if (payloadStart < 0) return this.#fail("malformed");
    this.#start = end;
    return {
      code,
      token: buffer.subarray(tokenStart, bodyStart),
      options,
      payload: body.subarray(payloadStart),
      wireBytes,
    };
  }

  /** To a buffer with room for as much again, so that a message in many chunks is copied a few times only. */
  #move(held: number, needed: number): void {
    const larger = new Uint8Array(Math.max(needed, 2 * held, MIN_CAPACITY_BYTES));
    larger.set(this.#buffer.subarray(this.#start, this.#end));
    this.#buffer = larger;
    this.#isOwn = true;
    this.#start = 0;
    this.#end = held;
  }

  #fail(failure: FramingFailure): FramingFailure {
    this.#failure = failure;
    this.#buffer = EMPTY_BYTES;
    this.#start = 0;
    this.#end = 0;
    return failure;
  }
}

/** Write one message as CoAP over TCP frames it (RFC 8323 section 3.2). Pure. */
export function encodeFrame(token: Uint8Array, { code, options, payload }: OutgoingMessage): Uint8Array {
  const length = optionsLength(options) + (payload.length === 0 ? 0 : 1 + payload.length);
  const extension = extensionBytes(length);
  const bytes = Buffer.allocUnsafe(2 + extension + token.length + length);
  bytes[0] = ((extension === 0 ? length : 12 + Math.log2(extension) + 1) << 4) | token.length;
  writeExtension(bytes, 1, length, extension);
  bytes[1 + extension] = code;
  bytes.set(token, 2 + extension);
  const end = writeOptions(bytes, 2 + extension + token.length, options);
  if (payload.length > 0) {
    bytes[end] = 0xff;
    bytes.set(payload, end + 1);
  }
  return bytes;
}

function extensionBytes(length: number): 0 | 1 | 2 | 4 {
  if (length < LENGTH_BASE_8) return 0;
  if (length < LENGTH_BASE_16) return 1;
  return length < LENGTH_BASE_32 ? 2 : 4;
}

function extendedLength(bytes: Uint8Array, at: number, nibble: number): number {
  const byte = (index: number): number => bytes[at + index] as number;
  if (nibble < 13) return nibble;
  if (nibble === 13) return byte(0) + LENGTH_BASE_8;
  if (nibble === 14) return byte(0) * 256 + byte(1) + LENGTH_BASE_16;
  return byte(0) * 16_777_216 + byte(1) * 65_536 + byte(2) * 256 + byte(3) + LENGTH_BASE_32;
}

function writeExtension(bytes: Buffer, at: number, length: number, extension: 0 | 1 | 2 | 4): void {
  if (extension === 1) bytes[at] = length - LENGTH_BASE_8;
  else if (extension === 2) bytes.writeUInt16BE(length - LENGTH_BASE_16, at);
  else if (extension === 4) bytes.writeUInt32BE(length - LENGTH_BASE_32, at);
}
