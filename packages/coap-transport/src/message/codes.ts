import type { TransmissionParameters, TransportLimits } from "../types.js";

/** Request codes (RFC 7252 section 12.1.1, RFC 8132). */
export const METHOD = {
  GET: 1,
  POST: 2,
  PUT: 3,
  DELETE: 4,
  FETCH: 5,
  PATCH: 6,
  IPATCH: 7,
} as const;

/** Methods that change nothing (RFC 7252 section 5.1, RFC 8132 section 2). */
export const SAFE_METHODS: readonly number[] = [METHOD.GET, METHOD.FETCH];

/** Response codes as one byte, class in the upper three bits (RFC 7252 section 12.1.2, 7959, 8132, 8516, 8768). */
export const CODE = {
  CREATED: 65,
  DELETED: 66,
  VALID: 67,
  CHANGED: 68,
  CONTENT: 69,
  CONTINUE: 95,
  BAD_REQUEST: 128,
  UNAUTHORIZED: 129,
  BAD_OPTION: 130,
  FORBIDDEN: 131,
  NOT_FOUND: 132,
  METHOD_NOT_ALLOWED: 133,
  NOT_ACCEPTABLE: 134,
  REQUEST_ENTITY_INCOMPLETE: 136,
  CONFLICT: 137,
  PRECONDITION_FAILED: 140,
  REQUEST_ENTITY_TOO_LARGE: 141,
  UNSUPPORTED_CONTENT_FORMAT: 143,
  UNPROCESSABLE: 150,
  TOO_MANY_REQUESTS: 157,
  INTERNAL: 160,
  NOT_IMPLEMENTED: 161,
  BAD_GATEWAY: 162,
  UNAVAILABLE: 163,
  GATEWAY_TIMEOUT: 164,
  PROXYING_NOT_SUPPORTED: 165,
  HOP_LIMIT_REACHED: 168,
} as const;

/** Option numbers (RFC 7252 section 12.2, 7641, 7959, 7967, 8768, 9175). */
export const OPTION = {
  IF_MATCH: 1,
  URI_HOST: 3,
  ETAG: 4,
  IF_NONE_MATCH: 5,
  OBSERVE: 6,
  URI_PORT: 7,
  LOCATION_PATH: 8,
  OSCORE: 9,
  URI_PATH: 11,
  CONTENT_FORMAT: 12,
  MAX_AGE: 14,
  URI_QUERY: 15,
  HOP_LIMIT: 16,
  ACCEPT: 17,
  LOCATION_QUERY: 20,
  BLOCK2: 23,
  BLOCK1: 27,
  SIZE2: 28,
  PROXY_URI: 35,
  PROXY_SCHEME: 39,
  SIZE1: 60,
  ECHO: 252,
  NO_RESPONSE: 258,
  REQUEST_TAG: 292,
} as const;

/** Content-Format numbers (RFC 7252 section 12.3, 8132, 8949). */
export const CONTENT_FORMAT = {
  TEXT: 0,
  LINK_FORMAT: 40,
  XML: 41,
  OCTET_STREAM: 42,
  JSON: 50,
  JSON_PATCH: 51,
  MERGE_PATCH: 52,
  CBOR: 60,
} as const;

/** Message types of CoAP over UDP (RFC 7252 section 3). */
export const MESSAGE_TYPE = { CON: 0, NON: 1, ACK: 2, RST: 3 } as const;

/** Max-Age in seconds when the option is absent (RFC 7252 section 5.10.5). */
export const DEFAULT_MAX_AGE_S = 60;

/** Default ports of `coap` and `coaps` (RFC 7252 section 12.6, 12.7). */
export const DEFAULT_PORT = 5683;
export const DEFAULT_SECURE_PORT = 5684;

/** "All CoAP nodes": IPv4, IPv6 link-local and site-local (RFC 7252 section 12.8). */
export const ALL_COAP_NODES = ["224.0.1.187", "ff02::fd", "ff05::fd"] as const;

/** "All CoRE Resource Directories": IPv4, IPv6 link-local and site-local (RFC 9176 section 9.5). */
export const ALL_RESOURCE_DIRECTORIES = ["224.0.1.190", "ff02::fe", "ff05::fe"] as const;

/** Every host of a link, CoAP node or not (RFC 1112 section 4, RFC 4291 section 2.7.1). */
export const ALL_HOSTS = ["224.0.0.1", "ff02::1"] as const;

/** RFC 7252 section 4.8, in ms. */
export const DEFAULT_PARAMETERS: TransmissionParameters = {
  ackTimeoutMs: 2000,
  ackRandomFactor: 1.5,
  maxRetransmit: 4,
  exchangeLifetimeMs: 247_000,
  leisureMs: 5000,
  separateAfterMs: 200,
};

/** Bounds that an RD or LP can live with; see TransportLimits. */
export const DEFAULT_LIMITS: TransportLimits = {
  maxRequestBytes: 81_920,
  maxTransfers: 1024,
  maxRetainedBytes: 268_435_456,
  maxExchanges: 4096,
  maxObservers: 10_000,
  maxObserversPerClient: 2500,
  maxDeduplication: 65_536,
  maxCachedResponses: 32_768,
  maxOutstandingPerPeer: 64,
  blockSize: 1024,
};

/** Default for the largest response body that a client assembles. */
export const DEFAULT_MAX_BODY_BYTES = 67_108_864;

/** The code as people write it: 69 is "2.05" (RFC 7252 section 3). Pure. */
export function formatCode(code: number): string {
  return `${code >> 5}.${String(code & 0x1f).padStart(2, "0")}`;
}

/** MAX_TRANSMIT_WAIT (RFC 7252 section 4.8.2): from the first transmission until the sender gives up. Pure. */
export function maxTransmitWaitMs(parameters: TransmissionParameters): number {
  return parameters.ackTimeoutMs * (2 ** (parameters.maxRetransmit + 1) - 1) * parameters.ackRandomFactor;
}
