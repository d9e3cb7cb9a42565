import { createHash } from "node:crypto";
import type { Clock } from "@tributary/runtime";
import { ExpiringMap } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import { BERT_SZX, type Block, blockOption, blockSize, findBlock, szxFor } from "../message/block-option.js";
import { CODE, OPTION } from "../message/codes.js";
import { addressHolder } from "../message/ip-address.js";
import type { OutgoingMessage } from "../message/message.js";
import { sortOptions } from "../message/option-codec.js";
import { freshUintOption } from "../message/option-values.js";
import type { CoapOption, Peer, UnfinishedBody } from "../types.js";
import type { BlockProgress } from "./fetch-watch.js";
import { type IncomingRequest, transferKey } from "./request.js";
import { errorMessage } from "./response.js";

export interface Block2RetentionOptions {
  readonly blockSize: number;
  readonly maxTransfers: number;
  readonly maxRetainedBytes: number;
  readonly lifetimeMs: number;
}

/** A response body while a client fetches its blocks. The body is not copied; `options` are repeated with each block, ETag included. */
interface Retained {
  readonly code: number;
  readonly options: readonly CoapOption[];
  readonly body: UnfinishedBody;
  /** The length of the body is not known yet. */
  readonly isUnfinished: boolean;
  /** Bytes of the body that are accounted for. */
  weight: number;
  /** Bytes of the body that were written so far. */
  length: number;
  readonly progress: BlockProgress | undefined;
  /** Bytes of the blocks requested so far, by offset; only with `progress`. */
  readonly requested: Map<number, number>;
  /** The last block was requested. */
  hasEnd: boolean;
  /** Settles when the requests before this one are done with an unfinished body. */
  pending: Promise<void> | null;
  /** The client that it counts against. */
  readonly holder: string;
}

/** The first request of a transfer and the response to it. */
interface TransferStart {
  readonly request: IncomingRequest;
  readonly whole: OutgoingMessage;
  readonly asked: Block;
  /** Bytes of the body in one message. */
  readonly size: number;
  /** The client did not request a block size. */
  readonly isFree: boolean;
  readonly progress: BlockProgress | undefined;
}

const ETAG_BYTES = 8;
/** Growth of an unfinished body after which it is weighed again, bytes. */
const WEIGHED_BYTES = 65_536;
/** Largest block other than BERT. */
const MAX_BLOCK_BYTES = 1024;

/** Response bodies that clients fetch block by block (RFC 7959 section 2.4), one for each peer and request. */
export class Block2Retention {
  readonly #preferredSzx: number;
  readonly #bodies: ExpiringMap<Retained>;

  constructor(deps: { clock: Clock }, options: Block2RetentionOptions) {
    this.#preferredSzx = szxFor(options.blockSize);
    this.#bodies = new ExpiringMap(deps, {
      lifetimeMs: options.lifetimeMs,
      maxEntries: options.maxTransfers,
      maxWeight: options.maxRetainedBytes,
    });
  }

  /** Bodies retained. */
  get size(): number {
    return this.#bodies.size;
  }

  /**
   * Returns `whole` unchanged if it fits, else the block requested (by default the first) of a body that is retained from now on.
   * `progress` is called about bodies of several blocks. A promise only if the body is unfinished.
   */
  begin(
    request: IncomingRequest,
    whole: OutgoingMessage,
    progress?: BlockProgress,
  ): OutgoingMessage | Promise<OutgoingMessage> {
    const asked = request.block2 ?? { num: 0, more: false, szx: this.#szxOf(request) };
    const isFree = request.block2 === undefined && !request.asksSize2;
    const size = (isFree ? request.capacity?.wholeBytes : undefined) ?? this.#sizeFor(request, asked.szx);
    const payload = whole.rest?.upTo(size + 1) ?? whole.payload;
    const start = { request, whole, asked, size, isFree, progress };
    return payload instanceof Promise
      ? payload.then((made) => this.#beginWith(made, start))
      : this.#beginWith(payload, start);
  }

  /** Returns the block requested of a retained body; null if there is none, or if another one has taken its place. */
  resume(request: IncomingRequest, block: Block): OutgoingMessage | null | Promise<OutgoingMessage | null> {
    if (block.szx === BERT_SZX && !allowsBert(request)) return errorMessage(CODE.BAD_REQUEST, "reserved block size");
    if (block.num === 0) return null;
    const key = transferKey(request);
    const retained = this.#bodies.get(key);
    if (retained === undefined) return null;
    /** Blocks of a body that cannot be completed are of no use. */
    const giveUp = (error: unknown): OutgoingMessage | null => {
      if (this.#bodies.get(key) === retained) this.#bodies.delete(key);
      if (error instanceof TransportError && error.code === "SUPERSEDED") return null;
      return errorMessage(CODE.UNAVAILABLE, "the response is too large: narrow the query, or use page and count");
    };
    const note = (response: OutgoingMessage): OutgoingMessage => {
      this.#weigh(key, retained);
      noteRequested(retained, block, response);
      return response;
    };
    try {
      const { pending } = retained;
      // An unfinished body is written by one request at a time.
      const slice = () => this.#slice(request, retained, block);
      const response = pending === null ? slice() : pending.then(slice);
      if (!(response instanceof Promise)) return note(response);
      const settled = response.then(note, giveUp);
      const done = settled.then(() => {
        if (retained.pending === done) retained.pending = null;
      });
      retained.pending = done;
      return settled;
    } catch (error) {
      return giveUp(error);
    }
  }

  /** Discards what is retained for a peer. */
  forgetPeer(peer: Peer): void {
    this.#bodies.deleteWithPrefix(`${peer.key} `);
  }

  close(): void {
    this.#bodies.clear();
  }

  /** Bytes of the body in one message, for blocks of this size. */
  #sizeFor({ capacity }: IncomingRequest, szx: number): number {
    if (szx === BERT_SZX && capacity !== undefined) return capacity.bertBytes;
    return blockSize(Math.min(szx, this.#preferredSzx, szxFor(capacity?.wholeBytes ?? MAX_BLOCK_BYTES)));
  }

  /** Size exponent for a client that requests none. */
  #szxOf({ capacity }: IncomingRequest): number {
    return (capacity?.bertBytes ?? 0) > 0 ? BERT_SZX : this.#preferredSzx;
  }

  #slice(request: IncomingRequest, retained: Retained, asked: Block): OutgoingMessage | Promise<OutgoingMessage> {
    // RFC 7959 section 2.4: the client's block size determines the offset; a smaller block may be sent from there.
    const offset = asked.num * blockSize(asked.szx);
    const size = this.#sizeFor(request, asked.szx);
    // One byte more shows whether there is another block.
    const body = retained.body.upTo(offset + size + 1);
    return body instanceof Promise
      ? body.then((made) => this.#blockOf(made, request, retained, asked))
      : this.#blockOf(body, request, retained, asked);
  }

  #blockOf(body: Uint8Array, request: IncomingRequest, retained: Retained, asked: Block): OutgoingMessage {
    const offset = asked.num * blockSize(asked.szx);
    const size = this.#sizeFor(request, asked.szx);
    const szx = asked.szx === BERT_SZX ? BERT_SZX : szxFor(size);
    const { code } = retained;
    if (offset > 0 && offset >= body.length) return errorMessage(CODE.BAD_REQUEST, "block number out of range");
    const more = offset + size < body.length;
    const own: CoapOption[] = [blockOption(OPTION.BLOCK2, { num: offset / blockSize(szx), more, szx })];
    // RFC 7959 section 4: the size is sent with the first block, and on request.
    const isSizeKnown = !retained.isUnfinished || !more;
    if (isSizeKnown && (request.asksSize2 || (asked.num === 0 && more)))
      own.push(freshUintOption(OPTION.SIZE2, body.length));
    retained.length = Math.max(retained.length, body.length);
    return { code, options: sortOptions([...retained.options, ...own]), payload: body.subarray(offset, offset + size) };
  }

  #beginWith(payload: Uint8Array, start: TransferStart): OutgoingMessage | Promise<OutgoingMessage> {
    const { request, whole, asked, size, isFree, progress } = start;
    const isUnfinished = whole.rest !== undefined;
    const fits = payload.length <= size && asked.num === 0;
    if (fits && isFree) return isUnfinished ? { code: whole.code, options: whole.options, payload } : whole;
    if (asked.num > 0 && whole.code !== CODE.CONTENT) return whole;
    const options = fits ? whole.options : withEtag(whole);
    const body = whole.rest ?? { upTo: () => payload };
    const { length } = payload;
    const holder = addressHolder(request.peer);
    const requested = new Map([[0, size]]);
    const transfer = {
      isUnfinished,
      weight: length,
      length,
      progress,
      requested,
      hasEnd: false,
      pending: null,
      holder,
    };
    const retained: Retained = { code: whole.code, options, body, ...transfer };
    if (!fits) {
      this.#bodies.set(transferKey(request), retained, { weight: length, holder });
      progress?.onRetained();
    }
    return this.#slice(request, retained, asked);
  }

  #weigh(key: string, retained: Retained): void {
    if (retained.length - retained.weight < WEIGHED_BYTES || this.#bodies.get(key) !== retained) return;
    retained.weight = retained.length;
    this.#bodies.set(key, retained, { weight: retained.weight, holder: retained.holder });
  }
}

/** Blocks may be requested in any order, several at a time: the transfer is over with the last one that was missing. */
function noteRequested(retained: Retained, block: Block, { options, payload }: OutgoingMessage): void {
  const { progress, requested } = retained;
  if (progress === undefined) return;
  requested.set(block.num * blockSize(block.szx), payload.length);
  const isEnd = findBlock(options, OPTION.BLOCK2)?.more !== true;
  if (isEnd) retained.hasEnd = true;
  let bytes = 0;
  if (retained.hasEnd) for (const length of requested.values()) bytes += length;
  progress.onBlockRequested(retained.hasEnd && bytes >= retained.length);
}

/** Whether size exponent 7 (BERT, RFC 8323 section 6) may be used with the peer. */
export function allowsBert({ capacity }: IncomingRequest): boolean {
  return capacity !== undefined && capacity.bertBytes > 0;
}

/** Adds an ETag, a hash of the body, if there is none: without it a client could mix the blocks of two bodies. */
function withEtag(whole: OutgoingMessage): readonly CoapOption[] {
  if (whole.options.some((option) => option.number === OPTION.ETAG)) return whole.options;
  const hash = createHash("sha256").update(whole.payload);
  for (const { number, value } of whole.options) {
    if (number === OPTION.CONTENT_FORMAT) hash.update(value);
  }
  const etag = hash.digest().subarray(0, ETAG_BYTES);
  return sortOptions([...whole.options, { number: OPTION.ETAG, value: etag }]);
}
