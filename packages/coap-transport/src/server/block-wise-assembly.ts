import type { Clock } from "@tributary/runtime";
import { ExpiringMap } from "@tributary/runtime";
import { BERT_SZX, type Block, blockOption, blockSize } from "../message/block-option.js";
import { CODE, OPTION } from "../message/codes.js";
import { GrowingBytes } from "../message/growing-bytes.js";
import { addressHolder } from "../message/ip-address.js";
import { bytesEqual, EMPTY_BYTES, type OutgoingMessage } from "../message/message.js";
import { uintOption } from "../message/option-values.js";
import type { CoapOption, Peer } from "../types.js";
import { type IncomingRequest, transferKey } from "./request.js";
import { errorMessage } from "./response.js";

/** A complete body, or the response to a block that is not the last one. */
export type Block1Outcome =
  | { readonly kind: "complete"; readonly payload: Uint8Array }
  | { readonly kind: "respond"; readonly response: OutgoingMessage };

export interface Block1AssemblyOptions {
  readonly maxRequestBytes: number;
  readonly maxTransfers: number;
  /** Time that an abandoned transfer is kept, ms. */
  readonly lifetimeMs: number;
  /** Size exponent requested from clients whose blocks are larger. */
  readonly szx: number;
}

/**
 * Bound of the complete bodies that are kept, in bytes. The response to a last block may be lost: a client that repeats this block with
 * a new message ID then gets the response to the whole request, as if it had sent all blocks again.
 */
const MAX_FINISHED_BYTES = 1_048_576;

/** Request bodies that arrive in blocks; each is handled as a whole or not at all ("atomic", RFC 7959 section 2.5). */
export class Block1Assembly {
  readonly #options: Block1AssemblyOptions;
  readonly #uploads: ExpiringMap<GrowingBytes>;
  readonly #finished: ExpiringMap<Uint8Array>;

  constructor(deps: { clock: Clock }, options: Block1AssemblyOptions) {
    const { maxTransfers: maxEntries, lifetimeMs } = options;
    this.#options = options;
    this.#uploads = new ExpiringMap(deps, { lifetimeMs, maxEntries });
    this.#finished = new ExpiringMap(deps, { lifetimeMs, maxEntries, maxWeight: MAX_FINISHED_BYTES });
  }

  /** Transfers in progress. */
  get size(): number {
    return this.#uploads.size;
  }

  accept(request: IncomingRequest, block: Block): Block1Outcome {
    const { payload } = request;
    const isBert = block.szx === BERT_SZX;
    if (isBert && request.capacity === undefined) return refuse(CODE.BAD_REQUEST, "reserved block size");
    if (!hasBlockLength(payload.length, block)) return refuse(CODE.BAD_REQUEST, "the payload is not of the block size");
    const key = transferKey(request);
    const announced = Math.max(request.size1 ?? 0, block.num * blockSize(block.szx) + payload.length);
    if (announced > this.#options.maxRequestBytes) {
      this.#uploads.delete(key);
      return this.#tooLarge(block);
    }
    if (block.num === 0 && !block.more) {
      this.#uploads.delete(key);
      return { kind: "complete", payload };
    }
    const holder = addressHolder(request.peer);
    const body = block.num === 0 ? this.#start(key, payload, holder) : this.#resume(key, block, payload);
    if (!(body instanceof GrowingBytes)) return body;
    if (!block.more) return this.#finish(key, body.bytes(), holder);
    const szx = isBert ? block.szx : Math.min(block.szx, this.#options.szx);
    const next = blockOption(OPTION.BLOCK1, { num: block.num, more: true, szx });
    return { kind: "respond", response: { code: CODE.CONTINUE, options: [next], payload: EMPTY_BYTES } };
  }

  /** Undoes the last block, which the client is to send again with an Echo option. */
  rewind(request: IncomingRequest): void {
    const { block1, payload } = request;
    if (block1 === undefined || block1.num === 0) return;
    const body = new GrowingBytes();
    body.append(payload.subarray(0, block1.num * blockSize(block1.szx)));
    this.#uploads.set(transferKey(request), body, { holder: addressHolder(request.peer) });
  }

  /** Discards the transfers of a peer. */
  forgetPeer(peer: Peer): void {
    this.#uploads.deleteWithPrefix(`${peer.key} `);
    this.#finished.deleteWithPrefix(`${peer.key} `);
  }

  close(): void {
    this.#uploads.clear();
    this.#finished.clear();
  }

  #start(key: string, payload: Uint8Array, holder: string): GrowingBytes {
    const body = new GrowingBytes();
    body.append(payload);
    this.#uploads.set(key, body, { holder });
    this.#finished.delete(key);
    return body;
  }

  #resume(key: string, block: Block, payload: Uint8Array): GrowingBytes | Block1Outcome {
    const offset = block.num * blockSize(block.szx);
    const body = this.#uploads.get(key);
    if (body === undefined) return this.#repeated(key, block, payload) ?? INCOMPLETE;
    if (offset === body.length) {
      body.append(payload);
      return body;
    }
    // The previous block, repeated with a new message ID, changes nothing. Other bytes in its place belong to another body.
    if (block.more && offset + payload.length === body.length && body.endsWith(payload)) return body;
    this.#uploads.delete(key);
    return INCOMPLETE;
  }

  /** Returns the body that this last block ended before; null if there is none. */
  #repeated(key: string, block: Block, payload: Uint8Array): Block1Outcome | null {
    const body = block.more ? undefined : this.#finished.get(key);
    const offset = block.num * blockSize(block.szx);
    const isItsEnd = body !== undefined && bytesEqual(body.subarray(offset), payload);
    return isItsEnd ? { kind: "complete", payload: body } : null;
  }

  #finish(key: string, payload: Uint8Array, holder: string): Block1Outcome {
    this.#uploads.delete(key);
    this.#finished.set(key, payload, { weight: payload.length, holder });
    return { kind: "complete", payload };
  }

  /** RFC 7959 section 2.9.3: with the size that would be accepted. */
  #tooLarge(block: Block): Block1Outcome {
    const { maxRequestBytes } = this.#options;
    const szx = block.szx === BERT_SZX ? block.szx : Math.min(block.szx, this.#options.szx);
    const echoed = blockOption(OPTION.BLOCK1, { num: block.num, more: block.more, szx });
    const limit = uintOption(OPTION.SIZE1, maxRequestBytes);
    return refuse(CODE.REQUEST_ENTITY_TOO_LARGE, `more than ${maxRequestBytes} bytes`, [echoed, limit]);
  }
}

/** RFC 7959 section 2.2, RFC 8323 section 6: all but the last are full. */
function hasBlockLength(length: number, { more, szx }: Block): boolean {
  const size = blockSize(szx);
  if (szx === BERT_SZX) return !more || (length > 0 && length % size === 0);
  return more ? length === size : length <= size;
}

function refuse(code: number, diagnostic: string, options: readonly CoapOption[] = []): Block1Outcome {
  return { kind: "respond", response: errorMessage(code, diagnostic, options) };
}

const INCOMPLETE = refuse(CODE.REQUEST_ENTITY_INCOMPLETE, "a block is missing, start again");
