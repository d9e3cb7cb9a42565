/**
 * What went wrong in the message layer. Codes are API: callers match them, never the text.
 *
 * `TIMEOUT` no answer in time · `RESET` the peer rejected the message · `UNREACHABLE` the network said so ·
 * `TOO_LARGE` a body beyond the limit · `ABORTED` by the caller's signal · `CLOSED` the client or socket was closed ·
 * `BAD_URI` not a URI that can be asked · `MALFORMED` an answer against the RFCs · `OVERLOADED` a local bound was
 * reached · `BIND_FAILED` the address could not be bound ·
 * `BAD_ARGUMENT` a function was called with something that it does not take · `NOT_OBSERVABLE` the resource cannot be observed.
 */
export type TransportErrorCode =
  | "TIMEOUT"
  | "RESET"
  | "UNREACHABLE"
  | "TOO_LARGE"
  | "ABORTED"
  | "CLOSED"
  | "BAD_URI"
  | "MALFORMED"
  | "OVERLOADED"
  | "BIND_FAILED"
  | "BAD_ARGUMENT"
  | "NOT_OBSERVABLE";

/** Every failure of this package. Error codes of the protocol (4.xx, 5.xx) are responses, not errors. */
export class TransportError extends Error {
  override readonly name = "TransportError";
  readonly code: TransportErrorCode;
  constructor(code: TransportErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
