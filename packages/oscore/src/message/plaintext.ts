import { type CoapOption, optionsLength, readOptions, writeOptions } from "@tributary/coap-transport";

/** What is encrypted: code, options and payload of a message (RFC 8613 section 5.3). */
export interface Plaintext {
  readonly code: number;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
}

const PAYLOAD_MARKER = 0xff;

/** Writes a plaintext; options ascend by number. Pure. */
export function encodePlaintext({ code, options, payload }: Plaintext): Uint8Array {
  const length = optionsLength(options);
  const bytes = new Uint8Array(1 + length + (payload.length === 0 ? 0 : 1 + payload.length));
  bytes[0] = code;
  const end = writeOptions(bytes, 1, options);
  if (payload.length > 0) {
    bytes[end] = PAYLOAD_MARKER;
    bytes.set(payload, end + 1);
  }
  return bytes;
}

/** Reads a plaintext; null when it is malformed. Options and payload are views. Pure. */
export function decodePlaintext(bytes: Uint8Array): Plaintext | null {
  const [code] = bytes;
  if (code === undefined) return null;
  const options: CoapOption[] = [];
  const start = readOptions(bytes, 1, options);
  return start < 0 ? null : { code, options, payload: bytes.subarray(start) };
}
