import type { CoapOption, UnfinishedBody } from "../types.js";

/** A request or response as received, over any transport. */
export interface Message {
  readonly code: number;
  readonly token: Uint8Array;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
  /** Bytes that the message took on the wire, headers of IP and UDP or TCP not counted. */
  readonly wireBytes: number;
}

/** A request or response to send; the layer below adds token, message id and framing. */
export interface OutgoingMessage {
  readonly code: number;
  /** In ascending order of number (RFC 7252 section 3.1). */
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
  /** See `ServerResponse`. */
  readonly rest?: UnfinishedBody;
}

export const EMPTY_BYTES: Uint8Array = new Uint8Array(0);

/** Is this a request code, 0.01 to 0.31? */
export function isRequestCode(code: number): boolean {
  return code > 0 && code < 32;
}

/** Is this the code of a response: class 2, 4 or 5 (RFC 7252 section 3)? */
export function isResponseCode(code: number): boolean {
  const codeClass = code >> 5;
  return codeClass === 2 || codeClass === 4 || codeClass === 5;
}

/** Is this an error: class 4 or 5? */
export function isErrorCode(code: number): boolean {
  return code >= 128;
}

/** Text that is equal exactly for equal tokens. */
export function tokenKey(token: Uint8Array): string {
  let key = "";
  for (const byte of token) key += String.fromCharCode(byte);
  return key;
}

export function bytesEqual(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index++) {
    if (one[index] !== other[index]) return false;
  }
  return true;
}
