import { MAX_ID_CONTEXT_BYTES } from "../constants.js";

/** The COSE object as the OSCORE option compresses it (RFC 8613 section 6.1). */
export interface OscoreHeader {
  /** 1 to 5 bytes without leading zeros, except for the number 0 itself. */
  readonly partialIv?: Uint8Array;
  readonly kid?: Uint8Array;
  readonly kidContext?: Uint8Array;
}

const PARTIAL_IV_LENGTH = 0x07;
const HAS_KID = 0x08;
const HAS_KID_CONTEXT = 0x10;
const RESERVED = 0xe0;

/** Writes the value of an OSCORE option. Pure. */
export function encodeHeader({ partialIv, kid, kidContext }: OscoreHeader): Uint8Array {
  const flags =
    (partialIv?.length ?? 0) | (kid === undefined ? 0 : HAS_KID) | (kidContext === undefined ? 0 : HAS_KID_CONTEXT);
  // RFC 8613 section 2: all flags zero is the empty value.
  if (flags === 0) return new Uint8Array(0);
  const parts: Uint8Array[] = [Uint8Array.of(flags)];
  if (partialIv !== undefined) parts.push(partialIv);
  if (kidContext !== undefined) parts.push(Uint8Array.of(kidContext.length), kidContext);
  if (kid !== undefined) parts.push(kid);
  return Buffer.concat(parts);
}

/** Reads the value of an OSCORE option; null when it is malformed. The parts are views. Pure. */
export function decodeHeader(value: Uint8Array): OscoreHeader | null {
  const flags = value[0] ?? 0;
  // An empty value is written without the byte of flags.
  if (value.length > 0 && flags === 0) return null;
  const ivLength = flags & PARTIAL_IV_LENGTH;
  if ((flags & RESERVED) !== 0 || ivLength > 5) return null;
  let offset = 1;
  const header: { partialIv?: Uint8Array; kid?: Uint8Array; kidContext?: Uint8Array } = {};
  if (ivLength > 0) {
    if (offset + ivLength > value.length) return null;
    header.partialIv = value.subarray(offset, offset + ivLength);
    offset += ivLength;
  }
  if ((flags & HAS_KID_CONTEXT) !== 0) {
    const length = value[offset++];
    if (length === undefined || length > MAX_ID_CONTEXT_BYTES || offset + length > value.length) return null;
    header.kidContext = value.subarray(offset, offset + length);
    offset += length;
  }
  if ((flags & HAS_KID) !== 0) header.kid = value.subarray(offset);
  else if (offset < value.length) return null;
  return header;
}

/** A sequence number as partial IV: the fewest bytes, at least one (RFC 8613 section 5). Pure. */
export function encodePartialIv(number: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = number; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Uint8Array.from(bytes.length === 0 ? [0] : bytes);
}

/** The sequence number of a partial IV; null when it has leading zeros, which no sender writes. Pure. */
export function decodePartialIv(bytes: Uint8Array): number | null {
  if (bytes.length > 1 && bytes[0] === 0) return null;
  let number = 0;
  for (const byte of bytes) number = number * 256 + byte;
  return number;
}
