import {
  type ClientResponse,
  CODE,
  type CoapOption,
  errorResponse,
  OPTION,
  type ServerResponse,
} from "@tributary/coap-transport";

/** Options of a request that have a field of their own or concern a single hop (block-wise transfer, Echo). */
const REQUEST_FIELDS: ReadonlySet<number> = new Set([
  OPTION.URI_HOST,
  OPTION.URI_PORT,
  OPTION.URI_PATH,
  OPTION.URI_QUERY,
  OPTION.CONTENT_FORMAT,
  OPTION.ACCEPT,
  OPTION.ETAG,
  OPTION.OBSERVE,
  OPTION.HOP_LIMIT,
  OPTION.MAX_AGE,
  OPTION.BLOCK1,
  OPTION.BLOCK2,
  OPTION.SIZE1,
  OPTION.SIZE2,
  OPTION.ECHO,
  OPTION.NO_RESPONSE,
  OPTION.REQUEST_TAG,
]);

/** The same for responses. */
const RESPONSE_FIELDS: ReadonlySet<number> = new Set([
  OPTION.ETAG,
  OPTION.LOCATION_PATH,
  OPTION.LOCATION_QUERY,
  OPTION.CONTENT_FORMAT,
  OPTION.MAX_AGE,
  OPTION.OBSERVE,
  OPTION.BLOCK1,
  OPTION.BLOCK2,
  OPTION.SIZE1,
  OPTION.SIZE2,
  OPTION.ECHO,
]);

/** Whether a proxy must understand the option (RFC 7252 section 5.4.6). */
function isUnsafe(number: number): boolean {
  return (number & 2) !== 0;
}

/**
 * Returns the options of a request that are forwarded unchanged: known ones such as If-Match, and unknown ones that are safe to
 * forward. Null when there is an unsafe one, which means 4.02 (RFC 7252 section 5.7.1). Pure.
 */
export function forwardedRequestOptions(options: readonly CoapOption[]): readonly CoapOption[] | null {
  const others = options.filter(({ number }) => !REQUEST_FIELDS.has(number));
  return others.some(({ number }) => isUnsafe(number)) ? null : others;
}

/** Converts a peer's response to a response of this node; 5.02 for an unsafe option that is not understood (RFC 7252 section 5.7.1). Pure. */
export function forwardedResponse(response: ClientResponse): ServerResponse {
  const { code, contentFormat, etag, maxAgeS, locationPath, locationQuery, payload } = response;
  const options = response.options.filter(({ number }) => !RESPONSE_FIELDS.has(number));
  if (options.some(({ number }) => isUnsafe(number)))
    return errorResponse(CODE.BAD_GATEWAY, "the response has an option that cannot be forwarded");
  const hasMaxAge = response.options.some(({ number }) => number === OPTION.MAX_AGE);
  return {
    code,
    ...(contentFormat === undefined ? {} : { contentFormat }),
    ...(etag === undefined ? {} : { etag }),
    ...(hasMaxAge ? { maxAgeS } : {}),
    ...(locationPath.length === 0 ? {} : { locationPath }),
    ...(locationQuery.length === 0 ? {} : { locationQuery }),
    ...(options.length === 0 ? {} : { options }),
    payload,
  };
}
