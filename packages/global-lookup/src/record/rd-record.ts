import { formatAuthority, parseCoapUri, TransportError } from "@tributary/coap-transport";
import { decode, encode } from "cborg";
import {
  MAX_RECORD_BYTES,
  MAX_RECORD_LIFETIME_S,
  MAX_RECORD_URIS,
  MAX_URI_LENGTH,
  RECORD_CONTEXT,
  RECORD_VERSION,
} from "../constants.js";
import { type AnnouncerKey, isSignedBy } from "./announcer-key.js";

/** What an announcer says of itself. */
export interface RdRecord {
  /** Higher than in all of its records before. */
  readonly sequence: number;
  /** End of its validity, s since the Unix epoch. */
  readonly expiresAtS: number;
  /** Where its CoAP server is, `scheme://address[:port]`, the preferred one first; empty: it has left the pool. */
  readonly uris: readonly string[];
}

/** A verified record, or the cause why it is not used. */
export type ReadRecord =
  | { readonly ok: true; readonly record: RdRecord }
  | { readonly ok: false; readonly cause: "too-large" | "malformed" | "forged" | "expired" | "withdrawn" };

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const SCHEMES: ReadonlySet<string> = new Set(["coap", "coap+tcp"]);
/** Only what `writeRecord` writes: no tags, no floating point, no indefinite lengths. */
const STRICT = { strict: true, allowIndefinite: false, allowUndefined: false, allowBigInt: false } as const;

/**
 * Writes a record: a CBOR array (RFC 8949) of the body and its signature, both byte strings. The body is an array of version, public key,
 * sequence, end of validity, and addresses. Pure.
 */
export function writeRecord(key: AnnouncerKey, { sequence, expiresAtS, uris }: RdRecord): Uint8Array {
  const body = encode([RECORD_VERSION, key.publicKey, sequence, expiresAtS, uris]);
  return encode([body, key.sign(signedBytes(body))]);
}

/** Reads a record that is said to be of `announcer`. Addresses that are none are left out. Pure. */
export function readRecord(bytes: Uint8Array, announcer: Uint8Array, nowS: number): ReadRecord {
  if (bytes.length > MAX_RECORD_BYTES) return { ok: false, cause: "too-large" };
  const outer = decoded(bytes);
  if (!Array.isArray(outer) || outer.length !== 2) return malformed();
  const [body, signature] = outer;
  if (!isBytes(body) || !isBytes(signature, SIGNATURE_BYTES)) return malformed();
  const inner = decoded(body);
  if (!Array.isArray(inner) || inner.length !== 5 || inner[0] !== RECORD_VERSION) return malformed();
  const [, publicKey, sequence, expiresAtS, uris] = inner;
  if (!isBytes(publicKey, KEY_BYTES) || !isCount(sequence) || !isCount(expiresAtS)) return malformed();
  if (!Array.isArray(uris) || uris.length > MAX_RECORD_URIS) return malformed();
  if (!Buffer.from(publicKey).equals(announcer)) return { ok: false, cause: "forged" };
  if (!isSignedBy(announcer, signedBytes(body), signature)) return { ok: false, cause: "forged" };
  if (uris.length === 0) return { ok: false, cause: "withdrawn" };
  if (expiresAtS <= nowS) return { ok: false, cause: "expired" };
  if (expiresAtS > nowS + MAX_RECORD_LIFETIME_S) return malformed();
  const usable = uris.flatMap((uri) => canonicalAddress(uri) ?? []);
  return usable.length === 0 ? malformed() : { ok: true, record: { sequence, expiresAtS, uris: usable } };
}

/** Returns the canonical form of an address as records have them, or null where it is none. Pure. */
export function canonicalAddress(uri: unknown): string | null {
  if (typeof uri !== "string" || uri.length > MAX_URI_LENGTH) return null;
  try {
    const { scheme, host, hostIsLiteral, zone, port, path, query } = parseCoapUri(uri);
    const isPlain = path.length === 0 && query.length === 0 && zone === undefined;
    // Names would make every node that looks something up ask DNS servers of the announcer's choice.
    if (!SCHEMES.has(scheme) || !hostIsLiteral || !isPlain || port === 0) return null;
    return `${scheme}://${formatAuthority(host, port)}`;
  } catch (error) {
    if (error instanceof TransportError) return null;
    throw error;
  }
}

function signedBytes(body: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${RECORD_CONTEXT}\0`), body]);
}

function decoded(bytes: Uint8Array): unknown {
  try {
    return decode(bytes, STRICT);
  } catch {
    return undefined;
  }
}

function isBytes(value: unknown, length?: number): value is Uint8Array {
  return value instanceof Uint8Array && (length === undefined || value.length === length);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function malformed(): ReadRecord {
  return { ok: false, cause: "malformed" };
}
