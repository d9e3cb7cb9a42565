import { createHash } from "node:crypto";
import { PROOF_CONTEXT } from "../constants.js";
import { type AnnouncerKey, isSignedBy } from "./announcer-key.js";

/** Name of the registration parameter, and endpoint attribute, with the proof of an endpoint. */
export const PROOF_ATTRIBUTE = "proof";

const NAME_PREFIX = "ed25519.";
const KEY_NAME = /^ed25519\.[A-Za-z0-9_-]{43}$/;
const KEY_BYTES = 32;
const EXPIRY_BYTES = 6;
const SIGNATURE_BYTES = 64;

/** What a proof says. */
export interface EndpointProof {
  /** The RD that it is for, by its public key. */
  readonly announcer: Uint8Array;
  /** End of its validity, s since the Unix epoch. */
  readonly expiresAtS: number;
}

/** Returns the name of the endpoint with an Ed25519 key: `ed25519.` and SHA-256 of the public key in base64url. Pure. */
export function keyName(publicKey: Uint8Array): string {
  return `${NAME_PREFIX}${createHash("sha256").update(publicKey).digest("base64url")}`;
}

/** Whether a name is that of a key, so that registrations under it need a proof. Pure. */
export function isKeyName(name: string): boolean {
  return KEY_NAME.test(name);
}

/**
 * Writes the proof that an endpoint registers with one RD: public key, end (48 bits, big-endian) and signature, in base64url. Pure.
 */
export function writeProof(key: AnnouncerKey, { announcer, expiresAtS }: EndpointProof): string {
  const expiry = Buffer.alloc(EXPIRY_BYTES);
  expiry.writeUIntBE(expiresAtS, 0, EXPIRY_BYTES);
  const signature = key.sign(signedBytes(announcer, expiry));
  return Buffer.concat([key.publicKey, expiry, signature]).toString("base64url");
}

/** What a proof shows; `expired`: it was right once. */
export type Proven = "yes" | "no" | "expired";

/** Returns whether a proof shows that the holder of the key of `name` registered with the RD of `announcer`. Pure. */
export function checkProof(
  name: string,
  proof: string | null | undefined,
  { announcer, nowS }: { readonly announcer: Uint8Array; readonly nowS: number },
): Proven {
  const bytes = Buffer.from(proof ?? "", "base64url");
  if (bytes.length !== KEY_BYTES + EXPIRY_BYTES + SIGNATURE_BYTES) return "no";
  const publicKey = bytes.subarray(0, KEY_BYTES);
  const expiry = bytes.subarray(KEY_BYTES, KEY_BYTES + EXPIRY_BYTES);
  if (keyName(publicKey) !== name) return "no";
  const signature = bytes.subarray(KEY_BYTES + EXPIRY_BYTES);
  if (!isSignedBy(publicKey, signedBytes(announcer, expiry), signature)) return "no";
  return expiry.readUIntBE(0, EXPIRY_BYTES) > nowS ? "yes" : "expired";
}

/** The RD is part of it, so that another one cannot show the proof as its own. */
function signedBytes(announcer: Uint8Array, expiry: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${PROOF_CONTEXT}\0`), announcer, expiry]);
}
