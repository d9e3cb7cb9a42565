import { blockSize, MAX_SZX, szxFor } from "../message/block-option.js";
import { CODE, OPTION, SAFE_METHODS } from "../message/codes.js";
import { EMPTY_BYTES, isErrorCode, type OutgoingMessage } from "../message/message.js";
import type { AmplificationGuard } from "./amplification-guard.js";
import type { IncomingRequest } from "./request.js";

export interface AmplificationLimitDeps {
  readonly guard: AmplificationGuard | undefined;
  readonly countUnverified: () => void;
  /** Returns the size of a message on the wire, which depends on the transport. */
  readonly messageLength: MessageLength;
}

/** Size of a message with this token on the wire, without the headers below CoAP. */
export type MessageLength = (token: Uint8Array, message: OutgoingMessage) => number;

/** Size of Block2, Size2 and an ETag. */
const BLOCK_OPTIONS_BYTES = 24;

/** Bounds what is sent to unverified source addresses (RFC 9175 section 2.4). */
export class AmplificationLimit {
  readonly #deps: AmplificationLimitDeps;
  readonly #maxBlockBytes: number;

  /** Without a guard nothing is limited. */
  constructor(deps: AmplificationLimitDeps, { maxBlockBytes }: { readonly maxBlockBytes: number }) {
    this.#deps = deps;
    this.#maxBlockBytes = maxBlockBytes;
  }

  /** Whether the source address is verified, or not checked. */
  isUnlimited(request: IncomingRequest): boolean {
    return this.#deps.guard === undefined || request.sourceProof !== "none";
  }

  /** Returns `message`, or what replaces it when it is too large for an unverified address. */
  limit(request: IncomingRequest, message: OutgoingMessage): OutgoingMessage {
    if (this.#fits(request, message)) return message;
    // RFC 7252 section 5.5.2: a diagnostic payload is for people; the code is enough.
    if (isErrorCode(message.code)) return { ...message, payload: EMPTY_BYTES };
    const isRepeatable = SAFE_METHODS.includes(request.method) || (request.block2?.num ?? 0) > 0;
    return isRepeatable ? this.challenge(request) : message;
  }

  /** Whether not even the first block of `whole` may be sent, so that nothing of it needs to be retained. */
  needsProof(request: IncomingRequest, whole: OutgoingMessage): boolean {
    const { guard, messageLength } = this.#deps;
    if (guard === undefined || !SAFE_METHODS.includes(request.method) || isErrorCode(whole.code)) return false;
    const size = Math.min(blockSize(request.block2?.szx ?? MAX_SZX), this.#maxBlockBytes);
    if (whole.payload.length <= size) return !this.#fits(request, whole);
    const bare = messageLength(request.token, { ...whole, payload: EMPTY_BYTES });
    return bare + BLOCK_OPTIONS_BYTES + size > this.#allowed(request) && !this.isUnlimited(request);
  }

  /** Returns a 4.01 with an Echo value, by which the client can verify its address. */
  challenge(request: IncomingRequest): OutgoingMessage {
    this.#deps.countUnverified();
    const echo = this.#deps.guard?.issue(request.peer) ?? EMPTY_BYTES;
    return { code: CODE.UNAUTHORIZED, options: [{ number: OPTION.ECHO, value: echo }], payload: EMPTY_BYTES };
  }

  /**
   * Has the response to an unsafe request sent in blocks that are small enough: the request was executed, so that a challenge would
   * come too late.
   */
  shrinkBlocks(request: IncomingRequest, whole: OutgoingMessage): void {
    if (SAFE_METHODS.includes(request.method) || isErrorCode(whole.code) || this.#fits(request, whole)) return;
    const bare = this.#deps.messageLength(request.token, { ...whole, payload: EMPTY_BYTES });
    const szx = szxFor(this.#allowed(request) - bare - BLOCK_OPTIONS_BYTES);
    const requested = request.block2 ?? { num: 0, more: false, szx: MAX_SZX };
    if (blockSize(szx) < blockSize(requested.szx)) request.block2 = { ...requested, szx };
  }

  /** Compares the size first: most responses are small, and then the address does not matter. */
  #fits(request: IncomingRequest, message: OutgoingMessage): boolean {
    if (this.#deps.guard === undefined) return true;
    return this.#deps.messageLength(request.token, message) <= this.#allowed(request) || this.isUnlimited(request);
  }

  #allowed(request: IncomingRequest): number {
    return this.#deps.guard?.allowance(request.wireBytes) ?? Number.POSITIVE_INFINITY;
  }
}
