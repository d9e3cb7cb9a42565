import { createHash } from "node:crypto";
import type { Clock } from "@tributary/runtime";
import { ExpiringMap } from "@tributary/runtime";
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

/** Response bodies kept while a client fetches them block by block (RFC 7959 section 2.4), one per peer and request. */
export interface Block2Retention {
  /** The block asked for out of a body retained before; null when there is none. */
  resume(request: IncomingRequest, block: Block): OutgoingMessage | Promise<OutgoingMessage> | null;
  /**
   * `whole` as it is when it fits, else the block asked for (the first by default), the rest retained. `progress` is told
   * when there is a rest, and how it is fetched. A promise only where a body is not finished.
   */
  begin(
    request: IncomingRequest,
    whole: OutgoingMessage,
    progress?: BlockProgress,
  ): OutgoingMessage | Promise<OutgoingMessage>;
  /** Give up what is kept for this peer. */
  forgetPeer(peer: Peer): void;
  /** Bodies kept. */
  readonly size: number;
  close(): void;
}

export interface Block2RetentionOptions {
  readonly blockSize: number;
  readonly maxTransfers: number;
  readonly maxRetainedBytes: number;
  readonly lifetimeMs: number;
}

/** The body is the handler's, not a copy; `options` hold the ETag and all else that every block repeats. */
interface Retained {
  readonly code: number;
  readonly options: readonly CoapOption[];
  readonly body: UnfinishedBody;
  /** Its length is not known yet. */
  readonly isUnfinished: boolean;
  /** Bytes of it that are accounted for. */
  weight: number;
  /** Bytes of it that there are. */
  length: number;
  readonly progress: BlockProgress | undefined;
  /** Whose place it takes. */
  readonly holder: string;
}

/** The first request of a transfer, and what answers it. */
interface TransferStart {
  readonly request: IncomingRequest;
  readonly whole: OutgoingMessage;
  readonly asked: Block;
  /** Bytes that one message carries. */
  readonly size: number;
  /** The client did not say in what blocks it wants the body. */
  readonly isFree: boolean;
  readonly progress: BlockProgress | undefined;
}

const ETAG_BYTES = 8;
/** An unfinished body is weighed again when it has grown by so much. */
const WEIGHED_BYTES = 65_536;
/** Largest block that is not BERT. */
const MAX_BLOCK_BYTES = 1024;

export function createBlock2Retention(deps: { clock: Clock }, options: Block2RetentionOptions): Block2Retention {
  const preferredSzx = szxFor(options.blockSize);
  const bodies = new ExpiringMap<Retained>(deps, {
    lifetimeMs: options.lifetimeMs,
    maxEntries: options.maxTransfers,
    maxWeight: options.maxRetainedBytes,
  });

  /** Bytes of the body that one message carries, asked for in blocks of this size. */
  function sizeFor({ capacity }: IncomingRequest, szx: number): number {
    if (szx === BERT_SZX && capacity !== undefined) return capacity.bertBytes;
    return blockSize(Math.min(szx, preferredSzx, szxFor(capacity?.wholeBytes ?? MAX_BLOCK_BYTES)));
  }

  /** Size exponent where the client has no wish. */
  function szxOf({ capacity }: IncomingRequest): number {
    return (capacity?.bertBytes ?? 0) > 0 ? BERT_SZX : preferredSzx;
  }

  function slice(
    request: IncomingRequest,
    retained: Retained,
    asked: Block,
  ): OutgoingMessage | Promise<OutgoingMessage> {
    // RFC 7959 section 2.4: the offset is what the client's own size says; a smaller block may be sent from there.
    const offset = asked.num * blockSize(asked.szx);
    const size = sizeFor(request, asked.szx);
    // One byte more tells whether there is another block.
    const body = retained.body.upTo(offset + size + 1);
    return body instanceof Promise
      ? body.then((made) => blockOf(made, request, retained, asked))
      : blockOf(body, request, retained, asked);
  }

  function blockOf(body: Uint8Array, request: IncomingRequest, retained: Retained, asked: Block): OutgoingMessage {
    const offset = asked.num * blockSize(asked.szx);
    const size = sizeFor(request, asked.szx);
    const szx = asked.szx === BERT_SZX ? BERT_SZX : szxFor(size);
    const { code } = retained;
    if (offset > 0 && offset >= body.length) return errorMessage(CODE.BAD_REQUEST, "block number out of range");
    const more = offset + size < body.length;
    const own: CoapOption[] = [blockOption(OPTION.BLOCK2, { num: offset / blockSize(szx), more, szx })];
    // RFC 7959 section 4: the size goes with the first block, and when asked for.
    const isSizeKnown = !retained.isUnfinished || !more;
    if (isSizeKnown && (request.asksSize2 || (asked.num === 0 && more)))
      own.push(freshUintOption(OPTION.SIZE2, body.length));
    retained.length = Math.max(retained.length, body.length);
    return { code, options: sortOptions([...retained.options, ...own]), payload: body.subarray(offset, offset + size) };
  }

  function begin(
    request: IncomingRequest,
    whole: OutgoingMessage,
    progress?: BlockProgress,
  ): OutgoingMessage | Promise<OutgoingMessage> {
    const asked = request.block2 ?? { num: 0, more: false, szx: szxOf(request) };
    const isFree = request.block2 === undefined && !request.asksSize2;
    const size = (isFree ? request.capacity?.wholeBytes : undefined) ?? sizeFor(request, asked.szx);
    const payload = whole.rest?.upTo(size + 1) ?? whole.payload;
    const start = { request, whole, asked, size, isFree, progress };
    return payload instanceof Promise ? payload.then((made) => beginWith(made, start)) : beginWith(payload, start);
  }

  function beginWith(payload: Uint8Array, start: TransferStart): OutgoingMessage | Promise<OutgoingMessage> {
    const { request, whole, asked, size, isFree, progress } = start;
    const isUnfinished = whole.rest !== undefined;
    const fits = payload.length <= size && asked.num === 0;
    if (fits && isFree) return isUnfinished ? { code: whole.code, options: whole.options, payload } : whole;
    if (asked.num > 0 && whole.code !== CODE.CONTENT) return whole;
    const options = fits ? whole.options : withEtag(whole);
    const body = whole.rest ?? { upTo: () => payload };
    const { length } = payload;
    const holder = addressHolder(request.peer);
    const retained = { code: whole.code, options, body, isUnfinished, weight: length, length, progress, holder };
    if (!fits) {
      bodies.set(transferKey(request), retained, { weight: length, holder: retained.holder });
      progress?.onRetained();
    }
    return slice(request, retained, asked);
  }

  function resume(request: IncomingRequest, block: Block): OutgoingMessage | Promise<OutgoingMessage> | null {
    if (block.szx === BERT_SZX && !allowsBert(request)) return errorMessage(CODE.BAD_REQUEST, "reserved block size");
    if (block.num === 0) return null;
    const key = transferKey(request);
    const retained = bodies.get(key);
    if (retained === undefined) return null;
    /** A body that cannot be made to its end is no body: what was sent of it is void. */
    const giveUp = (): OutgoingMessage => {
      if (bodies.get(key) === retained) bodies.delete(key);
      return errorMessage(CODE.UNAVAILABLE, "too much for one answer: narrow the query, or use page and count");
    };
    const sent = (answer: OutgoingMessage): OutgoingMessage => {
      weigh(key, retained);
      const isLast = findBlock(answer.options, OPTION.BLOCK2)?.more === false;
      retained.progress?.onBlockAsked(isLast);
      return answer;
    };
    try {
      const answer = slice(request, retained, block);
      return answer instanceof Promise ? answer.then(sent, giveUp) : sent(answer);
    } catch {
      return sent(giveUp());
    }
  }

  function weigh(key: string, retained: Retained): void {
    if (retained.length - retained.weight < WEIGHED_BYTES || bodies.get(key) !== retained) return;
    retained.weight = retained.length;
    bodies.set(key, retained, { weight: retained.weight, holder: retained.holder });
  }

  return {
    resume,
    begin,
    forgetPeer: (peer) => bodies.deleteWithPrefix(`${peer.key} `),
    get size() {
      return bodies.size;
    },
    close: () => bodies.clear(),
  };
}

/** RFC 8323 section 6: size exponent 7 means something between peers that both announced it. */
export function allowsBert({ capacity }: IncomingRequest): boolean {
  return capacity !== undefined && capacity.bertBytes > 0;
}

/** Without an ETag a client could not tell blocks of two bodies apart: one is made from the bytes, once per body. */
function withEtag(whole: OutgoingMessage): readonly CoapOption[] {
  if (whole.options.some((option) => option.number === OPTION.ETAG)) return whole.options;
  const hash = createHash("sha256").update(whole.payload);
  for (const { number, value } of whole.options) {
    if (number === OPTION.CONTENT_FORMAT) hash.update(value);
  }
  const etag = hash.digest().subarray(0, ETAG_BYTES);
  return sortOptions([...whole.options, { number: OPTION.ETAG, value: etag }]);
}
