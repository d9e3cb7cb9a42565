import type { RecordLimits } from "@tributary/merge-engine";
import {
  BYTES_PER_VALUE,
  LARGEST_PATCH_BYTES,
  MAX_PATCH_BYTES,
  PATCH_BYTES_PER_REGISTRATION_BYTE,
} from "./constants.js";

export type ByteLimit = Pick<RecordLimits, "registrationBytes">;

/** Largest patch that a reader accepts, bytes, where a registration may have `registrationBytes`. Pure. */
export function maxPatchBytes({ registrationBytes }: ByteLimit): number {
  const bytes = PATCH_BYTES_PER_REGISTRATION_BYTE * registrationBytes;
  return Math.min(Math.max(MAX_PATCH_BYTES, bytes), LARGEST_PATCH_BYTES);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING_BRACE = 0x7b;

/**
 * Why parsing a text of JSON would take too long for its bytes: values, objects and arrays by the ten thousand. Undefined: it
 * would not. Text that is no JSON is found out elsewhere. Pure.
 */
export function findExcessOfValues(text: string, maxBytes: number): string | undefined {
  const maxValues = maxBytes / BYTES_PER_VALUE;
  let values = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    // `[` and `{` differ by one bit.
    else if (code === COMMA || (code | 0x20) === OPENING_BRACE) values++;
    if (values > maxValues) return `the patch has more than ${maxValues} values`;
  }
  return undefined;
}

/** Position of the quotation mark that closes the string that is opened at `start`, or the end. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
  return text.length;
}
