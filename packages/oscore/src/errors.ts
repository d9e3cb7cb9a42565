/**
 * `MALFORMED` the OSCORE option or the plaintext cannot be read · `UNPROTECTED` a response without OSCORE option ·
 * `UNKNOWN_CONTEXT` no security context has these identifiers · `REPLAY` a sequence number was seen before, or may have been ·
 * `DECRYPTION_FAILED` the message was not made with this context · `EXHAUSTED` all sequence numbers are used ·
 * `BAD_CONTEXT` a security context cannot be loaded; the message has the file and the reason · `IN_USE` another process uses it.
 */
export type OscoreErrorCode =
  | "MALFORMED"
  | "UNPROTECTED"
  | "UNKNOWN_CONTEXT"
  | "REPLAY"
  | "DECRYPTION_FAILED"
  | "EXHAUSTED"
  | "BAD_CONTEXT"
  | "IN_USE";

/** Every failure of this package. */
export class OscoreError extends Error {
  override readonly name = "OscoreError";
  readonly code: OscoreErrorCode;

  constructor(code: OscoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
