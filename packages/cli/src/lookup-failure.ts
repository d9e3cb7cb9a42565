import { type ClientResponse, formatCode, TransportError } from "@tributary/coap-transport";

/** A lookup that ends without an answer, in words for people. */
export class LookupFailure extends Error {
  override readonly name = "LookupFailure";
  readonly code = "LOOKUP_FAILED";

  /** What to tell about any failure of a lookup at `server`. */
  static explain(error: unknown, server: string): string {
    if (!(error instanceof TransportError)) return error instanceof Error ? error.message : String(error);
    switch (error.code) {
      case "TIMEOUT":
        return `no answer from ${server}; is it running, and is --at right?`;
      case "UNREACHABLE":
      case "RESET":
        return `nothing answers at ${server}: ${error.message}`;
      default:
        return `${server}: ${error.message}`;
    }
  }
}

/** Longest diagnostic payload that is shown. */
const MAX_DIAGNOSTIC_LENGTH = 200;

/** An answer with an error code; with its diagnostic payload (RFC 7252 section 5.5.2). Pure. */
export function responseFailure(uri: string, { code, contentFormat, payload }: ClientResponse): LookupFailure {
  const text =
    contentFormat === undefined || contentFormat === 0
      ? new TextDecoder().decode(payload.subarray(0, 4 * MAX_DIAGNOSTIC_LENGTH))
      : "";
  const diagnostic = text
    .replace(/\p{Cc}/gu, " ")
    .slice(0, MAX_DIAGNOSTIC_LENGTH)
    .trim();
  return new LookupFailure(`${uri} answers ${formatCode(code)}${diagnostic === "" ? "" : `: ${diagnostic}`}`);
}
