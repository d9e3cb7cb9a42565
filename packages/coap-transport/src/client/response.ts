import { findOption } from "../message/block-option.js";
import { DEFAULT_MAX_AGE_S, OPTION } from "../message/codes.js";
import type { Message } from "../message/message.js";
import {
  decodeText,
  decodeUint,
  isCritical,
  isSafeToForward,
  reservedLocationOption,
} from "../message/option-values.js";
import type { ClientResponse, CoapOption, Peer } from "../types.js";

/** Critical options that are understood in responses (RFC 7252 section 5.4.1). */
const CRITICAL_IN_RESPONSES: readonly number[] = [OPTION.BLOCK1, OPTION.BLOCK2];

/**
 * Does the response have an option that must be understood and is not (RFC 7252 sections 5.4.1, 5.4.3, 5.4.5)? Of a response that
 * is relayed only those count that are not safe to forward (section 5.7.1).
 */
export function hasUnknownCritical(options: readonly CoapOption[], isRelayed = false): boolean {
  let previous = -1;
  for (const { number, value } of options) {
    const isKnown = CRITICAL_IN_RESPONSES.includes(number) && value.length <= 3 && number !== previous;
    const isForOthers = isRelayed && isSafeToForward(number);
    if (isCritical(number) && !isKnown && !isForOthers) return true;
    previous = number;
  }
  return reservedLocationOption(options) !== null && !isRelayed;
}

/** The value of an option of format uint, absent when missing or longer than allowed (then ignored, section 5.4.3). */
export function uintValue(options: readonly CoapOption[], number: number, maxBytes: number): number | undefined {
  const option = findOption(options, number);
  return option === undefined || option.value.length > maxBytes ? undefined : decodeUint(option.value);
}

/** The Observe value (RFC 7641 section 2). */
export function observeValue(message: Message): number | undefined {
  return uintValue(message.options, OPTION.OBSERVE, 3);
}

/** ETag or Echo: absent when missing or of a length that is not allowed. */
export function opaqueValue(options: readonly CoapOption[], number: number, maxBytes: number): Uint8Array | undefined {
  const value = findOption(options, number)?.value;
  return value === undefined || value.length < 1 || value.length > maxBytes ? undefined : value;
}

export function etagOf(message: Message): Uint8Array | undefined {
  return opaqueValue(message.options, OPTION.ETAG, 8);
}

export function echoOf(message: Message): Uint8Array | undefined {
  return opaqueValue(message.options, OPTION.ECHO, 40);
}

/** Returns a complete response: the options of its first message with the whole body. */
export function toClientResponse(
  head: Message,
  body: { payload: Uint8Array; wireBytes: number; observe?: number | undefined },
  peer: Peer,
): ClientResponse {
  const { options } = head;
  const contentFormat = uintValue(options, OPTION.CONTENT_FORMAT, 2);
  const etag = etagOf(head);
  const echo = echoOf(head);
  return {
    code: head.code,
    ...(contentFormat === undefined ? {} : { contentFormat }),
    ...(etag === undefined ? {} : { etag }),
    maxAgeS: uintValue(options, OPTION.MAX_AGE, 4) ?? DEFAULT_MAX_AGE_S,
    ...(body.observe === undefined ? {} : { observe: body.observe }),
    locationPath: texts(options, OPTION.LOCATION_PATH),
    locationQuery: texts(options, OPTION.LOCATION_QUERY),
    ...(echo === undefined ? {} : { echo }),
    options,
    payload: body.payload,
    peer,
    wireBytes: body.wireBytes,
  };
}

/** Returns the values of a repeated option as text; none when one is not UTF-8, as the rest would name something else. */
function texts(options: readonly CoapOption[], number: number): string[] {
  const found: string[] = [];
  for (const option of options) {
    if (option.number !== number) continue;
    const text = decodeText(option.value);
    if (text === null) return [];
    found.push(text);
  }
  return found;
}
