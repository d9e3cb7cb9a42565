import type { ParsedCoapUri } from "../message/coap-uri.js";
import { OPTION } from "../message/codes.js";
import { sortOptions } from "../message/option-codec.js";
import { stringOption, uintOption } from "../message/option-values.js";
import type { ClientRequest, CoapOption } from "../types.js";

/**
 * Returns the options of a request (RFC 7252 section 6.4), in ascending order, without ETag, Observe and Block options, which differ
 * between its messages.
 */
export function requestOptions(uri: ParsedCoapUri, request: ClientRequest): CoapOption[] {
  const options: CoapOption[] = [];
  if (!uri.hostIsLiteral) options.push(stringOption(OPTION.URI_HOST, uri.host));
  for (const segment of uri.path) options.push(stringOption(OPTION.URI_PATH, segment));
  if (request.contentFormat !== undefined) options.push(uintOption(OPTION.CONTENT_FORMAT, request.contentFormat));
  for (const item of uri.query) options.push(stringOption(OPTION.URI_QUERY, item));
  for (const item of request.query ?? []) options.push(stringOption(OPTION.URI_QUERY, item));
  if (request.hopLimit !== undefined) options.push(uintOption(OPTION.HOP_LIMIT, request.hopLimit));
  if (request.accept !== undefined) options.push(uintOption(OPTION.ACCEPT, request.accept));
  if (request.echo !== undefined) options.push({ number: OPTION.ECHO, value: request.echo });
  if (request.options === undefined || request.options.length === 0) return options;
  options.push(...request.options);
  return sortOptions(options);
}

/** Returns `options` with `more` added, in order. */
export function withOptions(options: readonly CoapOption[], more: readonly CoapOption[]): CoapOption[] {
  return sortOptions([...options, ...more]);
}

/** Returns the options for the ETags of cached states (RFC 7252 section 5.10.6.2). */
export function etagOptions(etags: readonly Uint8Array[] | undefined): CoapOption[] {
  return (etags ?? []).map((value) => ({ number: OPTION.ETAG, value }));
}

/** Returns `options` with this Echo value instead of any other (RFC 9175 section 2.3). */
export function withEcho(options: readonly CoapOption[], echo: Uint8Array): CoapOption[] {
  const others = options.filter((option) => option.number !== OPTION.ECHO);
  return withOptions(others, [{ number: OPTION.ECHO, value: echo }]);
}
