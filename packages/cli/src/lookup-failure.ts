import { type ClientResponse, formatCode, TransportError } from "@tributary/coap-transport";

/** A lookup that ends without an answer, in words for people. */
export class LookupFailure extends Error {
  override readonly name = "LookupFailure";
  readonly code = "LOOKUP_FAILED";

  /** What to tell about any failure of a request to `server`; `sentBy` is the server that named it, when that is another one. */
  static explain(error: unknown, server: string, sentBy?: string): string {
    if (!(error instanceof TransportError)) return error instanceof Error ? error.message : String(error);
    if (sentBy !== undefined) {
      const what = error.code === "TIMEOUT" ? "does not answer" : `cannot be asked: ${error.message}`;
      return `${sentBy} sends lookups to ${server}, which ${what}`;
    }
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
