/**
 * Code of a failure in the message layer. Codes are API: match them, never the message.
 *
 * `TIMEOUT` no response in time · `RESET` the peer rejected the message · `UNREACHABLE` reported by the network ·
 * `TOO_LARGE` a body beyond the limit · `ABORTED` by the caller's signal · `CLOSED` the client or socket was closed ·
 * `BAD_URI` not a URI that can be requested or served · `MALFORMED` a response that violates the RFCs · `OVERLOADED` a local limit was
 * reached · `BIND_FAILED` the address could not be bound · `BAD_ARGUMENT` a function was called with an argument that it does not
 * accept · `NOT_OBSERVABLE` the resource cannot be observed · `SUPERSEDED` an unfinished body that cannot be continued ·
 * `INTERNAL` an unexpected exception, which is a defect of this program;
 * `cause` has it.
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
  | "NOT_OBSERVABLE"
  | "SUPERSEDED"
  | "INTERNAL";

/** A failure of this package. Error codes of the protocol (4.xx, 5.xx) are responses, not errors. */
export class TransportError extends Error {
  override readonly name = "TransportError";
  readonly code: TransportErrorCode;
  constructor(code: TransportErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** An error that the operating system reported, as opposed to an exception of a program. */
export type SystemError = Error & { readonly code: string };

/** Whether the operating system reported this error; Node's own codes, which begin with `ERR_`, are mistakes of a caller. Pure. */
export function isSystemError(error: unknown): error is SystemError {
  return (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "string" &&
    /^E(?!RR_)[A-Z0-9]+$/.test(error.code)
  );
}
