import { BERT_UNIT_BYTES, type StreamCapacity } from "../message/stream-capacity.js";

/** More than what protection adds to a message: OSCORE option, code, tag. */
const OVERHEAD_BYTES = 64;
/** Most that AES-CCM encrypts with the nonces of 13 bytes of the default algorithm (RFC 9053 section 4.2). */
const MAX_SEALED_BYTES = 65_535;
/** Room for the options, which are encrypted as well. */
const OPTIONS_BYTES = 4096;
const MOST_BYTES = MAX_SEALED_BYTES - OPTIONS_BYTES;

/** How protected bodies go to a peer over a byte stream. Pure. */
export function protectedCapacity({ wholeBytes, bertBytes }: StreamCapacity): StreamCapacity {
  const largestBlock = Math.floor(MOST_BYTES / BERT_UNIT_BYTES) * BERT_UNIT_BYTES;
  return {
    wholeBytes: Math.min(MOST_BYTES, Math.max(0, wholeBytes - OVERHEAD_BYTES)),
    bertBytes: Math.min(largestBlock, Math.max(0, bertBytes - BERT_UNIT_BYTES)),
  };
}
