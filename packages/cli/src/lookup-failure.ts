import { type ClientResponse, CONTENT_FORMAT, formatCode, TransportError } from "@tributary/coap-transport";
import { diagnosticText } from "./diagnostic-text.js";

/** A failed lookup, with a message for the user. */
export class LookupFailure extends Error {
  override readonly name = "LookupFailure";
  readonly code = "LOOKUP_FAILED";

  /** Returns the message for any failure of a request to `server`. `sentBy` is the server that named it, if that is another one. */
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

/** A response with an error code, described with its diagnostic payload (RFC 7252 section 5.5.2). Pure. */
export function responseFailure(uri: string, { code, contentFormat, payload }: ClientResponse): LookupFailure {
  const isText = contentFormat === undefined || contentFormat === CONTENT_FORMAT.TEXT;
  const diagnostic = isText ? diagnosticText(payload) : "";
  return new LookupFailure(`${uri} answers ${formatCode(code)}${diagnostic === "" ? "" : `: ${diagnostic}`}`);
}
