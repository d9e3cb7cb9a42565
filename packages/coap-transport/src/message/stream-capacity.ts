/** BERT blocks are counted in this size (RFC 8323 section 6). */
export const BERT_UNIT_BYTES = 1024;

/** How bodies go to a peer over a byte stream. */
export interface StreamCapacity {
  /** Largest body that is sent in one message. */
  readonly wholeBytes: number;
  /** Bytes in one BERT block to send, a multiple of 1024; 0 when the peer does not take them. */
  readonly bertBytes: number;
}
