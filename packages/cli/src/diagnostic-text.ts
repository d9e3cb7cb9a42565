/** Longest diagnostic payload that is printed, characters. */
const MAX_LENGTH = 200;

/** A diagnostic payload (RFC 7252 section 5.5.2) for the terminal: one line, without control characters. Pure. */
export function diagnosticText(payload: Uint8Array): string {
  // A character has at most four bytes.
  const text = new TextDecoder().decode(payload.subarray(0, 4 * MAX_LENGTH));
  return text
    .replace(/\p{Cc}/gu, " ")
    .slice(0, MAX_LENGTH)
    .trim();
}
