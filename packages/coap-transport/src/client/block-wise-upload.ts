import { TransportError } from "../errors.js";
import { BERT_SZX, blockOption, blockSize, findBlock, MAX_BLOCK_NUM } from "../message/block-option.js";
import { CODE, OPTION } from "../message/codes.js";
import { isErrorCode, type Message } from "../message/message.js";
import { freshUintOption } from "../message/option-values.js";
import type { StreamCapacity } from "../message/stream-capacity.js";
import type { CoapOption } from "../types.js";
import type { Ask } from "./request-operation.js";
import { withOptions } from "./request-options.js";

/** A request with a body. */
export interface UploadRequest {
  readonly method: number;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
}

/** How large blocks are; `capacity` present: as large as a byte stream allows (BERT, RFC 8323 section 6). */
export interface UploadLimits {
  readonly szx: number;
  readonly capacity?: StreamCapacity | undefined;
}

/** The result of one pass over the blocks. */
type UploadOutcome = { kind: "response"; response: Message } | { kind: "smaller"; szx: number; response: Message };

/**
 * Sends a request, in blocks if its payload is larger than one (RFC 7959 section 2.5), and returns the response to the whole. When the
 * server wants smaller blocks, they are used (section 2.9.3); when it has lost some, the upload starts again, once.
 * @throws {TransportError} TOO_LARGE, and the errors of `ask`.
 */
export async function uploadBody(ask: Ask, request: UploadRequest, options: UploadLimits): Promise<Message> {
  let { capacity } = options;
  let szx = (capacity?.bertBytes ?? 0) > 0 ? BERT_SZX : options.szx;
  let mayRestart = true;
  for (;;) {
    const outcome = await sendOnce(ask, request, szx, capacity);
    if (outcome.kind === "smaller") {
      szx = outcome.szx;
      capacity = undefined; // from now on in blocks of that size
    } else if (outcome.response.code === CODE.REQUEST_ENTITY_INCOMPLETE && mayRestart) {
      mayRestart = false;
    } else {
      return outcome.response;
    }
  }
}

/** Whether a body of this size is sent in blocks. */
export function needsBlocks(bodyBytes: number, { szx, capacity }: UploadLimits): boolean {
  return bodyBytes > (capacity?.wholeBytes ?? blockSize(szx));
}

async function sendOnce(
  ask: Ask,
  request: UploadRequest,
  firstSzx: number,
  capacity?: StreamCapacity,
): Promise<UploadOutcome> {
  const { method, payload } = request;
  const isWhole = !needsBlocks(payload.length, { szx: firstSzx, capacity });
  let szx = firstSzx;
  let offset = 0;
  for (;;) {
    const size = isWhole ? payload.length : sizeOf(szx, capacity);
    const more = offset + size < payload.length;
    const options = isWhole
      ? request.options
      : withOptions(request.options, blockOptions(payload.length, { offset, size, szx }));
    const response = await ask({ code: method, options, payload: payload.subarray(offset, offset + size) });
    const hint = findBlock(response.options, OPTION.BLOCK1);
    if (response.code === CODE.REQUEST_ENTITY_TOO_LARGE && hint !== undefined && hint.szx < szx && offset === 0) {
      return { kind: "smaller", szx: hint.szx, response };
    }
    // A success without Block1 before the last block: the server took this block for the whole body.
    if (!more || isErrorCode(response.code) || (hint === undefined && response.code !== CODE.CONTINUE)) {
      return { kind: "response", response };
    }
    offset += size;
    if (hint !== undefined && hint.szx < szx) szx = hint.szx;
  }
}

function sizeOf(szx: number, capacity: StreamCapacity | undefined): number {
  return szx === BERT_SZX ? (capacity?.bertBytes ?? 0) : blockSize(szx);
}

function blockOptions(total: number, part: { offset: number; size: number; szx: number }): CoapOption[] {
  const { offset, size, szx } = part;
  const num = offset / blockSize(szx);
  if (num > MAX_BLOCK_NUM) throw new TransportError("TOO_LARGE", "more blocks than there are numbers");
  const block = blockOption(OPTION.BLOCK1, { num, more: offset + size < total, szx });
  return offset === 0 ? [block, freshUintOption(OPTION.SIZE1, total)] : [block];
}
