import type { Clock } from "@tributary/runtime";
import { ExpiringMap } from "@tributary/runtime";
import { BERT_SZX, type Block, blockOption, blockSize } from "../message/block-option.js";
import { CODE, OPTION } from "../message/codes.js";
import { GrowingBytes } from "../message/growing-bytes.js";
import { addressHolder } from "../message/ip-address.js";
import { bytesEqual, EMPTY_BYTES, type OutgoingMessage } from "../message/message.js";
import { uintOption } from "../message/option-values.js";
import type { Peer } from "../types.js";
import { type IncomingRequest, transferKey } from "./request.js";
import { errorMessage } from "./response.js";

/** The body is whole, or here is what to answer for now. */
export type Block1Outcome =
  | { readonly kind: "complete"; readonly payload: Uint8Array }
  | { readonly kind: "answer"; readonly answer: OutgoingMessage };

/** Bodies that arrive in blocks, each applied as a whole or not at all (RFC 7959 section 2.5, "atomic"). */
export interface Block1Assembly {
  accept(request: IncomingRequest, block: Block): Block1Outcome;
  /** The last block is to be sent again, with an Echo option: go back to before it came. */
  rewind(request: IncomingRequest): void;
  /** Give up what comes from this peer. */
  forgetPeer(peer: Peer): void;
  /** Bodies under way. */
  readonly size: number;
  close(): void;
}

export interface Block1AssemblyOptions {
  readonly maxRequestBytes: number;
  readonly maxTransfers: number;
  /** How long an abandoned upload is kept. */
  readonly lifetimeMs: number;
  /** Size exponent that is asked for when the client's blocks are larger. */
  readonly szx: number;
}

/**
 * Bytes of whole bodies that are kept because the response to the last block may be lost: a client that repeats that block under a
 * new message id then gets the response of another run of the request, as if it had sent the whole body again.
 */
const MAX_FINISHED_BYTES = 1_048_576;

export function createBlock1Assembly(deps: { clock: Clock }, options: Block1AssemblyOptions): Block1Assembly {
  const { maxRequestBytes, maxTransfers, lifetimeMs } = options;
  const uploads = new ExpiringMap<GrowingBytes>(deps, { lifetimeMs, maxEntries: maxTransfers });

  const finished = new ExpiringMap<Uint8Array>(deps, {
    lifetimeMs,
    maxEntries: maxTransfers,
    maxWeight: MAX_FINISHED_BYTES,
  });

  function finish(key: string, payload: Uint8Array, holder: string): Block1Outcome {
    uploads.delete(key);
    finished.set(key, payload, { weight: payload.length, holder });
    return { kind: "complete", payload };
  }

  function tooLarge(block: Block): Block1Outcome {
    // RFC 7959 section 2.9.3: say how much would be accepted.
    const echoed = blockOption(OPTION.BLOCK1, {
      num: block.num,
      more: block.more,
      szx: block.szx === BERT_SZX ? block.szx : Math.min(block.szx, options.szx),
    });
    const limit = uintOption(OPTION.SIZE1, maxRequestBytes);
    return answer(errorMessage(CODE.REQUEST_ENTITY_TOO_LARGE, `more than ${maxRequestBytes} bytes`, [echoed, limit]));
  }

  function incomplete(): Block1Outcome {
    return answer(errorMessage(CODE.REQUEST_ENTITY_INCOMPLETE, "a block is missing, start again"));
  }

  /** The body that a last block ends, when it ended it before. */
  function repeated(key: string, block: Block, payload: Uint8Array): Block1Outcome | null {
    const body = block.more ? undefined : finished.get(key);
    const offset = block.num * blockSize(block.szx);
    const isItsEnd = body !== undefined && bytesEqual(body.subarray(offset), payload);
    return isItsEnd ? { kind: "complete", payload: body } : null;
  }

  function resume(key: string, block: Block, payload: Uint8Array): GrowingBytes | Block1Outcome {
    const offset = block.num * blockSize(block.szx);
    const partial = uploads.get(key);
    if (partial === undefined) return repeated(key, block, payload) ?? incomplete();
    if (offset === partial.length) {
      partial.append(payload);
      return partial;
    }
    // The block before, sent again under a new message id, changes nothing; another one in its place is of another body.
    if (block.more && offset + payload.length === partial.length && partial.endsWith(payload)) return partial;
    uploads.delete(key);
    return incomplete();
  }

  function accept(request: IncomingRequest, block: Block): Block1Outcome {
    const { payload } = request;
    const isBert = block.szx === BERT_SZX;
    if (isBert && request.capacity === undefined) return answer(errorMessage(CODE.BAD_REQUEST, "reserved block size"));
    const size = blockSize(block.szx);
    if (!hasBlockLength(payload.length, block)) {
      return answer(errorMessage(CODE.BAD_REQUEST, "the payload is not of the block size"));
    }
    const key = transferKey(request);
    const announced = Math.max(request.size1 ?? 0, block.num * size + payload.length);
    if (announced > maxRequestBytes) {
      uploads.delete(key);
      return tooLarge(block);
    }
    if (block.num === 0 && !block.more) {
      uploads.delete(key);
      return { kind: "complete", payload };
    }
    const partial = block.num === 0 ? new GrowingBytes() : resume(key, block, payload);
    if (!(partial instanceof GrowingBytes)) return partial;
    if (block.num === 0) {
      partial.append(payload);
      uploads.set(key, partial, { holder: addressHolder(request.peer) });
      finished.delete(key);
    }
    if (!block.more) return finish(key, partial.bytes(), addressHolder(request.peer));
    const szx = isBert ? block.szx : Math.min(block.szx, options.szx);
    const next = blockOption(OPTION.BLOCK1, { num: block.num, more: true, szx });
    return answer({ code: CODE.CONTINUE, options: [next], payload: EMPTY_BYTES });
  }

  function rewind(request: IncomingRequest): void {
    const { block1, payload } = request;
    if (block1 === undefined || block1.num === 0) return;
    const partial = new GrowingBytes();
    partial.append(payload.subarray(0, block1.num * blockSize(block1.szx)));
    uploads.set(transferKey(request), partial, { holder: addressHolder(request.peer) });
  }

  return {
    accept,
    rewind,
    forgetPeer(peer) {
      uploads.deleteWithPrefix(`${peer.key} `);
      finished.deleteWithPrefix(`${peer.key} `);
    },
    get size() {
      return uploads.size;
    },
    close() {
      uploads.clear();
      finished.clear();
    },
  };
}

/** RFC 7959 section 2.2, RFC 8323 section 6: all but the last are full. */
function hasBlockLength(length: number, { more, szx }: Block): boolean {
  const size = blockSize(szx);
  if (szx === BERT_SZX) return !more || (length > 0 && length % size === 0);
  return more ? length === size : length <= size;
}

function answer(message: OutgoingMessage): Block1Outcome {
  return { kind: "answer", answer: message };
}
