import { blockOption, blockSize, findBlock, MAX_BLOCK_NUM } from "./block-option.js";
import { CODE, OPTION } from "./constants.js";
import { TransportError } from "./errors.js";
import { isErrorCode, type Message } from "./message.js";
import { freshUintOption } from "./option-values.js";
import type { Ask } from "./request-operation.js";
import { withOptions } from "./request-options.js";
import type { CoapOption } from "./types.js";

/** A request with a body. */
export interface UploadRequest {
  readonly method: number;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
}

/** What to do after one pass over the blocks. */
type UploadOutcome = { kind: "response"; response: Message } | { kind: "smaller"; szx: number; response: Message };

/**
 * Send a request, in blocks when its payload is larger than one (RFC 7959 section 2.5), and return the response to the
 * whole. A server that finds the blocks too large is sent smaller ones (section 2.9.3); when it lost some, the upload
 * starts again, once.
 * @throws {TransportError} TOO_LARGE, and what `ask` throws.
 */
export async function uploadBody(ask: Ask, request: UploadRequest, options: { szx: number }): Promise<Message> {
  let { szx } = options;
  let mayRestart = true;
  for (;;) {
    const outcome = await sendOnce(ask, request, szx);
    if (outcome.kind === "smaller") {
      szx = outcome.szx;
    } else if (outcome.response.code === CODE.REQUEST_ENTITY_INCOMPLETE && mayRestart) {
      mayRestart = false;
    } else {
      return outcome.response;
    }
  }
}

async function sendOnce(ask: Ask, request: UploadRequest, firstSzx: number): Promise<UploadOutcome> {
  const { method, payload } = request;
  const isWhole = payload.length <= blockSize(firstSzx);
  let szx = firstSzx;
  let offset = 0;
  for (;;) {
    const size = blockSize(szx);
    const more = offset + size < payload.length;
    const options = isWhole ? request.options : withOptions(request.options, blockOptions(payload.length, offset, szx));
    const response = await ask({ code: method, options, payload: payload.subarray(offset, offset + size) });
    const hint = findBlock(response.options, OPTION.BLOCK1);
    if (response.code === CODE.REQUEST_ENTITY_TOO_LARGE && hint !== undefined && hint.szx < szx && offset === 0) {
      return { kind: "smaller", szx: hint.szx, response };
    }
    // A success without Block1 before the last block: the server took what it got as the whole.
    if (!more || isErrorCode(response.code) || (hint === undefined && response.code !== CODE.CONTINUE)) {
      return { kind: "response", response };
    }
    offset += size;
    if (hint !== undefined && hint.szx < szx) szx = hint.szx;
  }
}

function blockOptions(total: number, offset: number, szx: number): CoapOption[] {
  const size = blockSize(szx);
  const num = offset / size;
  if (num > MAX_BLOCK_NUM) throw new TransportError("TOO_LARGE", "more blocks than there are numbers");
  const block = blockOption(OPTION.BLOCK1, { num, more: offset + size < total, szx });
  return offset === 0 ? [block, freshUintOption(OPTION.SIZE1, total)] : [block];
}
