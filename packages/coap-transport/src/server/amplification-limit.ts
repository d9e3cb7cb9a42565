import { blockSize, MAX_SZX, szxFor } from "../message/block-option.js";
import { CODE, METHOD, OPTION } from "../message/codes.js";
import { EMPTY_BYTES, isErrorCode, type OutgoingMessage } from "../message/message.js";
import type { AmplificationGuard } from "./amplification-guard.js";
import type { IncomingRequest } from "./request.js";

/** How much may be answered to whom (RFC 9175 section 2.4). */
export interface AmplificationLimit {
  /** Any amount: the sender is where it says, or nobody asks. */
  isUnlimited(request: IncomingRequest): boolean;
  /** `message`, or what takes its place when it is too large for a sender that may be another one than it says. */
  limit(request: IncomingRequest, message: OutgoingMessage): OutgoingMessage;
  /** Whether not even the first block of `whole` may go out; then nothing of it is to be kept. */
  needsProof(request: IncomingRequest, whole: OutgoingMessage): boolean;
  /** Ask the sender to show that it receives what is sent to it. */
  challenge(request: IncomingRequest): OutgoingMessage;
  /**
   * What was done cannot be undone by asking for proof: have the answer to an unsafe request cut into blocks that are
   * small enough.
   */
  shrinkBlocks(request: IncomingRequest, whole: OutgoingMessage): void;
}

export interface AmplificationLimitDeps {
  readonly guard: AmplificationGuard | undefined;
  readonly countUnverified: () => void;
  /** Bytes that a message takes on the wire, which depends on what carries it. */
  readonly messageLength: MessageLength;
}

/** Bytes of a message with this token on the wire, without the headers below CoAP. */
export type MessageLength = (token: Uint8Array, message: OutgoingMessage) => number;

const SAFE_METHODS: readonly number[] = [METHOD.GET, METHOD.FETCH];
/** Bytes that Block2, Size2 and an ETag take. */
const BLOCK_OPTIONS_BYTES = 24;

export function createAmplificationLimit(
  { guard, countUnverified, messageLength }: AmplificationLimitDeps,
  { maxBlockBytes }: { readonly maxBlockBytes: number },
): AmplificationLimit {
  if (guard === undefined) return UNLIMITED;

  /** The size first: most answers are small, and then nobody has to be looked up. */
  function fits(request: IncomingRequest, message: OutgoingMessage): boolean {
    return messageLength(request.token, message) <= allowed(request) || isUnlimited(request);
  }

  function allowed(request: IncomingRequest): number {
    return guard?.allowance(request.wireBytes) ?? Number.POSITIVE_INFINITY;
  }

  function isUnlimited(request: IncomingRequest): boolean {
    return request.sourceProof !== "none";
  }

  function challenge(request: IncomingRequest): OutgoingMessage {
    countUnverified();
    const echo = guard?.issue(request.peer) ?? EMPTY_BYTES;
    return { code: CODE.UNAUTHORIZED, options: [{ number: OPTION.ECHO, value: echo }], payload: EMPTY_BYTES };
  }

  function needsProof(request: IncomingRequest, whole: OutgoingMessage): boolean {
    if (!SAFE_METHODS.includes(request.method) || isErrorCode(whole.code)) return false;
    const size = Math.min(blockSize(request.block2?.szx ?? MAX_SZX), maxBlockBytes);
    if (whole.payload.length <= size) return !fits(request, whole);
    const bare = messageLength(request.token, { ...whole, payload: EMPTY_BYTES });
    return bare + BLOCK_OPTIONS_BYTES + size > allowed(request) && !isUnlimited(request);
  }

  return {
    isUnlimited,
    needsProof,
    challenge,
    limit(request, message) {
      if (fits(request, message)) return message;
      // A diagnostic message is for people (RFC 7252 section 5.5.2), the code says enough.
      if (isErrorCode(message.code)) return { ...message, payload: EMPTY_BYTES };
      const isRepeatable = SAFE_METHODS.includes(request.method) || (request.block2?.num ?? 0) > 0;
      return isRepeatable ? challenge(request) : message;
    },
    shrinkBlocks(request, whole) {
      if (SAFE_METHODS.includes(request.method) || isErrorCode(whole.code) || fits(request, whole)) return;
      const bare = messageLength(request.token, { ...whole, payload: EMPTY_BYTES });
      const szx = szxFor(allowed(request) - bare - BLOCK_OPTIONS_BYTES);
      const asked = request.block2 ?? { num: 0, more: false, szx: MAX_SZX };
      if (blockSize(szx) < blockSize(asked.szx)) request.block2 = { ...asked, szx };
    },
  };
}

const UNLIMITED: AmplificationLimit = {
  isUnlimited: () => true,
  limit: (_request, message) => message,
  needsProof: () => false,
  challenge: () => ({ code: CODE.UNAUTHORIZED, options: [], payload: EMPTY_BYTES }),
  shrinkBlocks: () => {},
};
