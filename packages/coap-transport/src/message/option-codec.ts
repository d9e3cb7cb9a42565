import type { CoapOption } from "../types.js";

/** More options than any request needs; beyond it a message is malformed, so that hostile ones stay cheap. */
const MAX_OPTIONS = 512;
const PAYLOAD_MARKER = 0xff;

/**
 * Read options and find the payload in `bytes` from `start` to the end (RFC 7252 section 3.1; the same in RFC 8323).
 * Values are views, not copies. Returns where the payload starts (the length when there is none), or -1 when malformed.
 */
export function readOptions(bytes: Uint8Array, start: number, options: CoapOption[]): number {
  const end = bytes.length;
  let offset = start;
  let number = 0;
  while (offset < end) {
    const head = bytes[offset++] as number;
    if (head === PAYLOAD_MARKER) return offset < end ? offset : -1; // a marker without payload is a format error
    let delta = head >> 4;
    let length = head & 15;
    if (delta > 12) {
      delta = readExtended(bytes, offset, delta);
      offset += delta < 269 ? 1 : 2;
    }
    if (length > 12) {
      length = readExtended(bytes, offset, length);
      offset += length < 269 ? 1 : 2;
    }
    number += delta;
    const next = offset + length;
    // A negative value (reserved 15, or cut short) fails one of these.
    if (delta < 0 || length < 0 || number > 65_535 || next > end || options.length === MAX_OPTIONS) return -1;
    options.push({ number, value: bytes.subarray(offset, next) });
    offset = next;
  }
  return end;
}

function readExtended(bytes: Uint8Array, offset: number, nibble: number): number {
  if (nibble === 13) return offset < bytes.length ? (bytes[offset] as number) + 13 : -1;
  if (nibble === 14 && offset + 1 < bytes.length) {
    return (((bytes[offset] as number) << 8) | (bytes[offset + 1] as number)) + 269;
  }
  return -1;
}

/** Bytes that `writeOptions` will take. */
export function optionsLength(options: readonly CoapOption[]): number {
  let total = 0;
  let previous = 0;
  for (const { number, value } of options) {
    const { length } = value;
    total += 1 + extendedLength(number - previous) + extendedLength(length) + length;
    previous = number;
  }
  return total;
}

function extendedLength(value: number): number {
  if (value < 13) return 0;
  return value < 269 ? 1 : 2;
}

/** Write options, ascending by number, into `target` at `offset`; returns the offset behind them. */
export function writeOptions(target: Uint8Array, offset: number, options: readonly CoapOption[]): number {
  let at = offset;
  let previous = 0;
  for (const { number, value } of options) {
    const delta = number - previous;
    const length = value.length;
    target[at] = (nibbleOf(delta) << 4) | nibbleOf(length);
    at = writeExtended(target, at + 1, delta);
    at = writeExtended(target, at, length);
    if (length < 16) for (let index = 0; index < length; index++) target[at + index] = value[index] as number;
    else target.set(value, at);
    at += length;
    previous = number;
  }
  return at;
}

function nibbleOf(value: number): number {
  if (value < 13) return value;
  return value < 269 ? 13 : 14;
}

function writeExtended(target: Uint8Array, at: number, value: number): number {
  if (value < 13) return at;
  if (value < 269) {
    target[at] = value - 13;
    return at + 1;
  }
  target[at] = (value - 269) >> 8;
  target[at + 1] = (value - 269) & 255;
  return at + 2;
}

/** Put options into ascending order in place, keeping the order of equal numbers (RFC 7252 section 5.4.5). */
export function sortOptions(options: CoapOption[]): CoapOption[] {
  for (let index = 1; index < options.length; index++) {
    const option = options[index] as CoapOption;
    let hole = index;
    while (hole > 0 && (options[hole - 1] as CoapOption).number > option.number) {
      options[hole] = options[hole - 1] as CoapOption;
      hole--;
    }
    options[hole] = option;
  }
  return options;
}
