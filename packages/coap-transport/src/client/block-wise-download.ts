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
import { OPTION, SAFE_METHODS } from "../message/codes.js";
import { GrowingBytes } from "../message/growing-bytes.js";
import { bytesEqual, EMPTY_BYTES, type Message } from "../message/message.js";
import { BERT_UNIT_BYTES, type StreamCapacity } from "../message/stream-capacity.js";
import type { CoapOption } from "../types.js";
import type { Ask } from "./request-operation.js";
import { withOptions } from "./request-options.js";
import { etagOf, uintValue } from "./response.js";

/** The request that the blocks respond to. */
export interface DownloadRequest {
  readonly method: number;
  /** Without ETag, Observe and Block options (RFC 7959 sections 2.4, 2.6). */
  readonly options: readonly CoapOption[];
  /** Sent again when the transfer is restarted, but not with later blocks. */
  readonly payload?: Uint8Array;
}

/** `capacity` present: blocks may be as large as a byte stream allows (BERT, RFC 8323 section 6). */
export interface DownloadLimits {
  readonly maxBodyBytes: number;
  readonly capacity?: StreamCapacity | undefined;
  /** Blocks requested at once, where every block has the ETag of the body. Default 1. */
  readonly maxParallelBlocks?: number | undefined;
}

/** A complete body, none of whose blocks belongs to another representation. */
export interface CompleteBody {
  /** The response with the first block. */
  readonly head: Message;
  readonly payload: Uint8Array;
}

const MAX_RESTARTS = 3;

/**
 * Fetches the blocks of a body that are not in `first` (RFC 7959 section 2.4). When the resource changes meanwhile, all blocks are
 * fetched again, three times at most and only for safe methods.
 * @throws {TransportError} TOO_LARGE, MALFORMED, and the errors of `ask`.
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

/** `changed`: blocks of another body arrived; `fresh` is its first block, if the server has sent that. */
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
  const ahead = new BlocksAhead((offset, szx) => ask(nextMessage(request, offset, szx)), limits.maxParallelBlocks ?? 1);
  while (block.more) {
    const next = await ahead.take(body.length, block.szx, representation);
    const nextBlock = findBlock(next.options, OPTION.BLOCK2);
    if (!representation.includes(next)) return { kind: "changed" };
    // Without Block2 it is no block. Whether it is the whole of another body shows only a request for that.
    if (nextBlock === undefined) return { kind: "changed" };
    if (nextBlock.num === 0) return { kind: "changed", fresh: next };
    checkLength(nextBlock, next.payload, limits);
    if (nextBlock.num * blockSize(nextBlock.szx) !== body.length) {
      throw new TransportError("MALFORMED", "a block other than the one requested");
    }
    body.append(next.payload);
    checkSize(head, body.length, maxBodyBytes);
    block = nextBlock;
  }
  return { kind: "complete", payload: body.bytes() };
}

/**
 * Requests blocks before they are needed. Where the size of the body is not known, no more than a quarter of what has arrived is
 * requested ahead, so that few requests are for blocks beyond the end.
 */
class BlocksAhead {
  readonly #request: (offset: number, szx: number) => Promise<Message>;
  readonly #max: number;
  /** Requests in progress by the offset of their block. */
  readonly #pending = new Map<number, Promise<Message>>();
  #szx = -1;

  constructor(request: (offset: number, szx: number) => Promise<Message>, max: number) {
    this.#request = request;
    this.#max = max;
  }

  /** Returns the block at `offset`, which is the number of bytes that have arrived. */
  take(offset: number, szx: number, representation: Representation): Promise<Message> {
    if (szx !== this.#szx) this.#pending.clear(); // a smaller size was negotiated
    this.#szx = szx;
    const size = blockSize(szx);
    for (let index = 0; index < this.#countAt(offset, szx, representation); index++) {
      const at = offset + index * size;
      if (this.#pending.has(at) || at / size > MAX_BLOCK_NUM) continue;
      const block = this.#request(at, szx);
      block.catch(() => {}); // of interest only when it is this one's turn
      this.#pending.set(at, block);
    }
    const block = this.#pending.get(offset) ?? this.#request(offset, szx);
    this.#pending.delete(offset);
    return block;
  }

  /** Only with an ETag can later blocks be distinguished from those of another body. */
  #countAt(offset: number, szx: number, { isVouchedFor, size }: Representation): number {
    if (!isVouchedFor || szx > MAX_SZX) return 1;
    const left = size === undefined ? offset / 4 : size - offset;
    return Math.max(1, Math.min(this.#max, Math.floor((left - 1) / blockSize(szx)) + (size === undefined ? 0 : 1)));
  }
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
 * The representation that the blocks so far belong to. An option that a block lacks says nothing (RFC 7252 section 5.10.6.1): some
 * servers send the ETag, Content-Format or Size2 with the first block only.
 */
class Representation {
  readonly #code: number;
  #etag: Uint8Array | undefined;
  #contentFormat: number | undefined;
  #size: number | undefined;
  #isVouchedFor = false;

  constructor(head: Message) {
    this.#code = head.code;
    this.#note(head);
  }

  /** Size of the body as announced (Size2), which may be an estimate. */
  get size(): number | undefined {
    return this.#size;
  }

  /** The last block had the ETag of the first one. */
  get isVouchedFor(): boolean {
    return this.#isVouchedFor;
  }

  /** Whether `next` may be a block of the same representation (RFC 7959 section 2.4). Notes the options that it adds. */
  includes(next: Message): boolean {
    const etag = etagOf(next);
    if (next.code !== this.#code) return false;
    if (etag !== undefined && this.#etag !== undefined && !bytesEqual(etag, this.#etag)) return false;
    if (areDifferent(this.#contentFormat, uintValue(next.options, OPTION.CONTENT_FORMAT, 2))) return false;
    // Size2 is an estimate (RFC 7959 section 4): it counts only for blocks without ETags.
    this.#isVouchedFor = etag !== undefined && this.#etag !== undefined;
    if (!this.#isVouchedFor && areDifferent(this.#size, uintValue(next.options, OPTION.SIZE2, 4))) return false;
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
