import {
  type ClientRequest,
  type ClientResponse,
  CODE,
  type CoapOption,
  errorResponse,
  OPTION,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";

/** Options that concern one hop, which the transports of both sides see to. */
const HOP_OPTIONS: ReadonlySet<number> = new Set([
  OPTION.OBSERVE,
  OPTION.BLOCK1,
  OPTION.BLOCK2,
  OPTION.SIZE1,
  OPTION.SIZE2,
  OPTION.NO_RESPONSE,
  OPTION.REQUEST_TAG,
]);
const KNOWN_OPTIONS: ReadonlySet<number> = new Set(Object.values(OPTION));

/** RFC 7252 section 5.7.1: what is not understood and unsafe to forward is refused by the transport if critical, and dropped here. */
function isPassedOn({ number }: CoapOption): boolean {
  return !HOP_OPTIONS.has(number) && ((number & 2) === 0 || KNOWN_OPTIONS.has(number));
}

/**
 * The request that an endpoint gets for one of a client: with the same options, apart from those of a single hop. Null when it has
 * been through too many proxies (RFC 8768 section 3). Pure.
 */
export function relayedRequest(request: ServerRequest, origin: string): ClientRequest | null {
  const { method, hopLimit, payload } = request;
  if (hopLimit === 1) return null;
  const options = request.options.filter((option) => isPassedOn(option) && option.number !== OPTION.HOP_LIMIT);
  return {
    method,
    uri: origin,
    options,
    ...(hopLimit === undefined ? {} : { hopLimit: hopLimit - 1 }),
    ...(payload.length === 0 ? {} : { payload }),
    isRelayed: true,
  };
}

/** The response that a client gets for one of an endpoint. Pure. */
export function relayedResponse({ code, etag, options, payload }: ClientResponse): ServerResponse {
  const rest = options.filter((option) => isPassedOn(option) && option.number !== OPTION.ETAG);
  return { code, ...(etag === undefined ? {} : { etag }), options: rest, payload };
}

/** RFC 8768 section 3. */
export const TOO_MANY_HOPS: ServerResponse = errorResponse(CODE.HOP_LIMIT_REACHED, "");
/** The endpoint keeps no connection at this moment. */
export const ENDPOINT_AWAY: ServerResponse = errorResponse(
  CODE.GATEWAY_TIMEOUT,
  "the endpoint has lost its connection",
);
