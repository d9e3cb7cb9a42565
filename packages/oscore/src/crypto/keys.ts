import { hkdfSync } from "node:crypto";
import type { AeadAlgorithm } from "./algorithms.js";
import { cbor } from "./cbor.js";

/** What both ends of a security context know (RFC 8613 section 3.2). */
export interface ContextParameters {
  readonly algorithm: AeadAlgorithm;
  readonly hash: "sha256" | "sha384" | "sha512";
  readonly masterSecret: Uint8Array;
  /** Empty when there is none. */
  readonly masterSalt: Uint8Array;
  readonly senderId: Uint8Array;
  readonly recipientId: Uint8Array;
  readonly idContext?: Uint8Array;
}

/** What is derived from it (RFC 8613 section 3.2.1). */
export interface ContextKeys {
  readonly senderKey: Uint8Array;
  readonly recipientKey: Uint8Array;
  readonly commonIv: Uint8Array;
}

/** Derives the keys and the common IV. Pure. */
export function deriveKeys(parameters: ContextParameters): ContextKeys {
  const { algorithm, senderId, recipientId } = parameters;
  return {
    senderKey: derive(parameters, senderId, "Key", algorithm.keyBytes),
    recipientKey: derive(parameters, recipientId, "Key", algorithm.keyBytes),
    commonIv: derive(parameters, new Uint8Array(0), "IV", algorithm.nonceBytes),
  };
}

function derive(parameters: ContextParameters, id: Uint8Array, type: "Key" | "IV", length: number): Uint8Array {
  const { algorithm, hash, masterSecret, masterSalt, idContext } = parameters;
  const info = cbor.array([
    cbor.bytes(id),
    idContext === undefined ? cbor.null : cbor.bytes(idContext),
    cbor.integer(algorithm.id),
    cbor.text(type),
    cbor.integer(length),
  ]);
  return new Uint8Array(hkdfSync(hash, masterSecret, masterSalt, info, length));
}

/** Longest sender or recipient ID, bytes (RFC 8613 section 3.3): the nonce has 6 bytes for other things. */
export function maxIdBytes({ nonceBytes }: AeadAlgorithm): number {
  return nonceBytes - 6;
}

/**
 * The nonce of a message (RFC 8613 section 5.2). `id` is the sender ID of the side that made the partial IV. Pure.
 */
export function makeNonce(commonIv: Uint8Array, id: Uint8Array, partialIv: Uint8Array): Uint8Array {
  const nonce = Uint8Array.from(commonIv);
  const length = nonce.length;
  const xor = (at: number, byte: number): void => {
    nonce[at] = (nonce[at] as number) ^ byte;
  };
  xor(0, id.length);
  for (const [index, byte] of id.entries()) xor(length - 5 - id.length + index, byte);
  for (const [index, byte] of partialIv.entries()) xor(length - partialIv.length + index, byte);
  return nonce;
}
