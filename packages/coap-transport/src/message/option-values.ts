import { isUtf8 } from "node:buffer";
import type { CoapOption } from "../types.js";
import { OPTION } from "./codes.js";
import { EMPTY_BYTES } from "./message.js";

/** Read an option value of format uint (RFC 7252 section 3.2): up to 4 bytes, leading zeros allowed. */
export function decodeUint(value: Uint8Array): number {
  let number = 0;
  for (const byte of value) number = number * 256 + byte;
  return number;
}

/** Write an option value of format uint in the fewest bytes; zero is empty (RFC 7252 section 3.2). */
export function encodeUint(number: number): Uint8Array {
  if (number === 0) return EMPTY_BYTES;
  let length = 1;
  for (let rest = number; rest > 255; rest = Math.floor(rest / 256)) length++;
  const value = new Uint8Array(length);
  for (let index = length - 1, rest = number; index >= 0; index--, rest = Math.floor(rest / 256))
    value[index] = rest % 256;
  return value;
}

/** Options with the same few values go out all the time (Content-Format, Max-Age): made once. */
const UINT_OPTIONS = new Map<number, CoapOption>();
const MAX_REMEMBERED = 1024;

/** An option of format uint whose value hardly ever repeats. */
export function freshUintOption(number: number, value: number): CoapOption {
  return { number, value: encodeUint(value) };
}

/** An option of format uint that takes few values. */
export function uintOption(number: number, value: number): CoapOption {
  const key = number * 4_294_967_296 + value;
  let option = UINT_OPTIONS.get(key);
  if (option === undefined) {
    option = { number, value: encodeUint(value) };
    if (UINT_OPTIONS.size < MAX_REMEMBERED) UINT_OPTIONS.set(key, option);
  }
  return option;
}

/** An option of format string. */
export function stringOption(number: number, text: string): CoapOption {
  return { number, value: Buffer.from(text, "utf8") };
}

/** Longest text that is decoded here, which for short ones is faster than a call of the runtime. */
const SHORT_TEXT = 12;

/** Text of an option of format string, or null when it is not UTF-8 (RFC 7252 section 3.2). */
export function decodeText(value: Uint8Array): string | null {
  const length = value.length;
  if (length > 255) return decodeUtf8(value);
  let text = "";
  for (let index = 0; index < length; index++) {
    const byte = value[index] as number;
    if (byte > 127) return decodeUtf8(value);
    if (length <= SHORT_TEXT) text += String.fromCharCode(byte);
  }
  return length <= SHORT_TEXT ? text : asBuffer(value).toString("latin1");
}

function decodeUtf8(value: Uint8Array): string | null {
  if (!isUtf8(value)) return null;
  return asBuffer(value).toString("utf8");
}

/** The same bytes, with the methods of a Buffer. */
export function asBuffer(value: Uint8Array): Buffer {
  return value instanceof Buffer ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/** Numbers kept free for options that say more about a Location (RFC 7252 section 5.10.7). */
const RESERVED_FOR_LOCATION: readonly number[] = [128, 132, 136, 140];

/**
 * The first reserved option that stands beside Location-Path or Location-Query, or null. It changes what they mean and is to be
 * treated as a critical option that is not understood; alone such an option is elective (RFC 7252 section 5.10.7).
 */
export function reservedLocationOption(options: readonly CoapOption[]): number | null {
  const reserved = options.find(({ number }) => RESERVED_FOR_LOCATION.includes(number));
  if (reserved === undefined) return null;
  const hasLocation = options.some(({ number }) => number === OPTION.LOCATION_PATH || number === OPTION.LOCATION_QUERY);
  return hasLocation ? reserved.number : null;
}

/** May a proxy that does not understand an option pass it on (RFC 7252 section 5.4.2)? */
export function isSafeToForward(number: number): boolean {
  return (number & 2) === 0;
}

/** Is an option that is not understood to be refused rather than ignored (RFC 7252 section 5.4.1)? */
export function isCritical(number: number): boolean {
  return (number & 1) === 1;
}
