import { TransportError } from "../errors.js";
import {
  BERT_SZX,
  type Block,
  blockOption,
  blockSize,
  findBlock,
  MAX_BLOCK_NUM,
  MAX_SZX,
} from "../message/block-option.js";
import { METHOD, OPTION } from "../message/codes.js";
import { GrowingBytes } from "../message/growing-bytes.js";
import { bytesEqual, EMPTY_BYTES, type Message } from "../message/message.js";
import { BERT_UNIT_BYTES, type StreamCapacity } from "../message/stream-capacity.js";
import type { CoapOption } from "../types.js";
import type { Ask } from "./request-operation.js";
import { withOptions } from "./request-options.js";
import { etagOf, uintValue } from "./response.js";

/** What the blocks belong to. */
export interface DownloadRequest {
  readonly method: number;
  /** Without ETag, Observe and Block options (RFC 7959 sections 2.4, 2.6). */
  readonly options: readonly CoapOption[];
  /** Sent again when the transfer starts anew; not with later blocks. */
  readonly payload?: Uint8Array;
}

/** `capacity` present: blocks may be as large as a byte stream allows (BERT, RFC 8323 section 6). */
export interface DownloadLimits {
  readonly maxBodyBytes: number;
  readonly capacity?: StreamCapacity | undefined;
}

/** A body of one piece: each block followed the one before, and no two said that they belong to different ones. */
export interface CompleteBody {
  /** The response with the first block. */
  readonly head: Message;
  readonly payload: Uint8Array;
}

const MAX_RESTARTS = 3;
const SAFE_METHODS: readonly number[] = [METHOD.GET, METHOD.FETCH];

/**
 * Fetch whatever of the body is not in `first` (RFC 7959 section 2.4), block after block. When the resource changes
 * meanwhile, all is fetched anew, three times at most and only for methods that change nothing.
 * @throws {TransportError} TOO_LARGE, MALFORMED, and what `ask` throws.
 */
export async function downloadBody(
  ask: Ask,
  request: DownloadRequest,
  first: Message,
  options: DownloadLimits,
): Promise<CompleteBody> {
  let head = first;
  for (let restarts = 0; ; restarts++) {
    const outcome = await collect(ask, request, head, options);
    if (outcome.kind === "complete") return { head, payload: outcome.payload };
    if (restarts === MAX_RESTARTS || !SAFE_METHODS.includes(request.method)) {
      throw new TransportError("MALFORMED", "the body changed between its blocks");
    }
    head = outcome.fresh ?? (await ask(startMessage(request, findBlock(head.options, OPTION.BLOCK2)?.szx ?? MAX_SZX)));
  }
}

/** `changed`: another body; `fresh` is its beginning when the server sent that of itself. */
type Collected = { kind: "complete"; payload: Uint8Array } | { kind: "changed"; fresh?: Message };

async function collect(ask: Ask, request: DownloadRequest, head: Message, limits: DownloadLimits): Promise<Collected> {
  const { maxBodyBytes } = limits;
  checkSize(head, head.payload.length, maxBodyBytes);
  let block = findBlock(head.options, OPTION.BLOCK2);
  if (block === undefined) return { kind: "complete", payload: head.payload };
  if (block.num !== 0) throw new TransportError("MALFORMED", "the body does not start with its first block");
  checkLength(block, head.payload, limits);
  if (!block.more) return { kind: "complete", payload: head.payload };
  const body = new GrowingBytes();
  body.append(head.payload);
  const representation = new Representation(head);
  while (block.more) {
    const next = await ask(nextMessage(request, body.length, block.szx));
    const nextBlock = findBlock(next.options, OPTION.BLOCK2);
    if (!representation.includes(next)) return { kind: "changed" };
    // Without Block2 it is no block at all, and whether it is the whole of another body shows only when that is asked for.
    if (nextBlock === undefined) return { kind: "changed" };
    if (nextBlock.num === 0) return { kind: "changed", fresh: next };
    checkLength(nextBlock, next.payload, limits);
    if (nextBlock.num * blockSize(nextBlock.szx) !== body.length) {
      throw new TransportError("MALFORMED", "a block other than the one asked for");
    }
    body.append(next.payload);
    checkSize(head, body.length, maxBodyBytes);
    block = nextBlock;
  }
  return { kind: "complete", payload: body.bytes() };
}

/** RFC 7959 section 2.4: a size below the server's own is kept; it may only shrink. */
function nextMessage(request: DownloadRequest, offset: number, szx: number) {
  const num = offset / blockSize(szx);
  if (num > MAX_BLOCK_NUM) throw new TransportError("TOO_LARGE", "more blocks than there are numbers");
  const asked = blockOption(OPTION.BLOCK2, { num, more: false, szx });
  return { code: request.method, options: withOptions(request.options, [asked]), payload: EMPTY_BYTES };
}

function startMessage(request: DownloadRequest, szx: number) {
  const asked = blockOption(OPTION.BLOCK2, { num: 0, more: false, szx });
  return {
    code: request.method,
    options: withOptions(request.options, [asked]),
    payload: request.payload ?? EMPTY_BYTES,
  };
}

/**
 * What the blocks so far say about the representation that they belong to. An option that a block lacks says nothing
 * (RFC 7252 section 5.10.6.1): some servers give the ETag, Content-Format or Size2 with the first block only.
 */
class Representation {
  readonly #code: number;
  #etag: Uint8Array | undefined;
  #contentFormat: number | undefined;
  #size: number | undefined;

  constructor(head: Message) {
    this.#code = head.code;
    this.#note(head);
  }

  /** Whether `next` may be a block of the same representation (RFC 7959 section 2.4); remembers what it adds. */
  includes(next: Message): boolean {
    const etag = etagOf(next);
    if (next.code !== this.#code) return false;
    if (etag !== undefined && this.#etag !== undefined && !bytesEqual(etag, this.#etag)) return false;
    if (areDifferent(this.#contentFormat, uintValue(next.options, OPTION.CONTENT_FORMAT, 2))) return false;
    // Size2 is an estimate (RFC 7959 section 4): it counts only where no two ETags vouch for the blocks.
    const isVouchedFor = etag !== undefined && this.#etag !== undefined;
    if (!isVouchedFor && areDifferent(this.#size, uintValue(next.options, OPTION.SIZE2, 4))) return false;
    this.#note(next);
    return true;
  }

  #note(message: Message): void {
    this.#etag ??= etagOf(message);
    this.#contentFormat ??= uintValue(message.options, OPTION.CONTENT_FORMAT, 2);
    this.#size ??= uintValue(message.options, OPTION.SIZE2, 4);
  }
}

function areDifferent(one: number | undefined, other: number | undefined): boolean {
  return one !== undefined && other !== undefined && one !== other;
}

function checkLength(block: Block, payload: Uint8Array, { capacity }: DownloadLimits): void {
  if (capacity !== undefined && block.szx === BERT_SZX) {
    // RFC 8323 section 6: any number of blocks of 1024 bytes, of which the very last may be smaller.
    const isWhole = payload.length > 0 && payload.length % BERT_UNIT_BYTES === 0;
    if (block.more && !isWhole) throw new TransportError("MALFORMED", "a BERT block is not a multiple of 1024 bytes");
    return;
  }
  const size = blockSize(block.szx);
  const fits = block.more ? payload.length === size : payload.length <= size;
  if (block.szx > MAX_SZX || !fits) throw new TransportError("MALFORMED", "a block is not of its size");
}

function checkSize(head: Message, length: number, maxBodyBytes: number): void {
  const announced = uintValue(head.options, OPTION.SIZE2, 4) ?? 0;
  if (Math.max(length, announced) > maxBodyBytes) {
    throw new TransportError("TOO_LARGE", `the body is larger than ${maxBodyBytes} bytes`);
  }
}
