/**
 * `UPSTREAM_TIMEOUT`: no answer in time. `UPSTREAM_UNREACHABLE`: it cannot be talked to. `UPSTREAM_REFUSED`: it answered with
 * an error or RST. `UPSTREAM_NO_LOOKUP`: it advertises no lookup interface. `UPSTREAM_UNREADABLE`: what it answers cannot be read.
 * `UPSTREAM_TOO_LARGE`: what it answers takes more memory than there is for it.
 * `UPSTREAM_LOOKUP_GONE`: a lookup that it advertised is not there. `UPSTREAM_CLOSED`: it is not followed any more. Codes are never reused.
 */
export type UpstreamErrorCode =
  | "UPSTREAM_TIMEOUT"
  | "UPSTREAM_UNREACHABLE"
  | "UPSTREAM_REFUSED"
  | "UPSTREAM_NO_LOOKUP"
  | "UPSTREAM_UNREADABLE"
  | "UPSTREAM_TOO_LARGE"
  | "UPSTREAM_LOOKUP_GONE"
  | "UPSTREAM_CLOSED";

/** Why an upstream could not be used. */
export class UpstreamError extends Error {
  override readonly name = "UpstreamError";
  readonly code: UpstreamErrorCode;
  /** Time that the upstream asked to be left alone, ms (5.03 with Max-Age). */
  readonly retryAfterMs: number | undefined;
  constructor(code: UpstreamErrorCode, message: string, options?: ErrorOptions & { readonly retryAfterMs?: number }) {
    super(message, options);
    this.code = code;
    this.retryAfterMs = options?.retryAfterMs;
  }
}
