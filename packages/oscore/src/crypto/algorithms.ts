import {
  type CipherCCMTypes,
  type CipherChaCha20Poly1305Types,
  type CipherGCMTypes,
  createCipheriv,
  createDecipheriv,
} from "node:crypto";

/** An AEAD algorithm of COSE (RFC 9053 section 4). Lengths are in bytes. */
export interface AeadAlgorithm {
  /** Its name in the COSE registry, without spaces. */
  readonly name: string;
  /** Its number there. */
  readonly id: number;
  readonly keyBytes: number;
  readonly nonceBytes: number;
  readonly tagBytes: number;
  readonly cipher: CipherCCMTypes | CipherGCMTypes | CipherChaCha20Poly1305Types;
}

const ALGORITHMS: readonly AeadAlgorithm[] = [
  { name: "AES-CCM-16-64-128", id: 10, keyBytes: 16, nonceBytes: 13, tagBytes: 8, cipher: "aes-128-ccm" },
  { name: "AES-CCM-16-64-256", id: 11, keyBytes: 32, nonceBytes: 13, tagBytes: 8, cipher: "aes-256-ccm" },
  { name: "AES-CCM-64-64-128", id: 12, keyBytes: 16, nonceBytes: 7, tagBytes: 8, cipher: "aes-128-ccm" },
  { name: "AES-CCM-64-64-256", id: 13, keyBytes: 32, nonceBytes: 7, tagBytes: 8, cipher: "aes-256-ccm" },
  { name: "AES-CCM-16-128-128", id: 30, keyBytes: 16, nonceBytes: 13, tagBytes: 16, cipher: "aes-128-ccm" },
  { name: "AES-CCM-16-128-256", id: 31, keyBytes: 32, nonceBytes: 13, tagBytes: 16, cipher: "aes-256-ccm" },
  { name: "A128GCM", id: 1, keyBytes: 16, nonceBytes: 12, tagBytes: 16, cipher: "aes-128-gcm" },
  { name: "A192GCM", id: 2, keyBytes: 24, nonceBytes: 12, tagBytes: 16, cipher: "aes-192-gcm" },
  { name: "A256GCM", id: 3, keyBytes: 32, nonceBytes: 12, tagBytes: 16, cipher: "aes-256-gcm" },
  { name: "ChaCha20/Poly1305", id: 24, keyBytes: 32, nonceBytes: 12, tagBytes: 16, cipher: "chacha20-poly1305" },
];

/** The algorithm of a context that names none (RFC 8613 section 3.2). */
export const DEFAULT_ALGORITHM = ALGORITHMS[0] as AeadAlgorithm;

/** Names of the algorithms that can be configured. */
export const ALGORITHM_NAMES: readonly string[] = ALGORITHMS.map(({ name }) => name);

/** Returns the algorithm with a name or number of the COSE registry. Pure. */
export function findAlgorithm(key: string | number): AeadAlgorithm | undefined {
  return ALGORITHMS.find(({ name, id }) => name === key || id === key);
}

/** What is authenticated beside the text, and the nonce. */
export interface AeadInput {
  readonly algorithm: AeadAlgorithm;
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  readonly aad: Uint8Array;
}

// The types of node:crypto have one signature for each mode; what is passed is the same for all of them.
type AnyCipher = CipherGCMTypes;

/** Encrypts `plaintext`; returns the ciphertext with the tag behind it. */
export function seal({ algorithm, key, nonce, aad }: AeadInput, plaintext: Uint8Array): Buffer {
  const options = { authTagLength: algorithm.tagBytes };
  const cipher = createCipheriv(algorithm.cipher as AnyCipher, key, nonce, options);
  cipher.setAAD(aad, { plaintextLength: plaintext.length });
  const ciphertext = cipher.update(plaintext);
  const rest = cipher.final();
  return Buffer.concat([ciphertext, rest, cipher.getAuthTag()]);
}

/** Decrypts a ciphertext with its tag; null when it was not made with this key, nonce and AAD. */
export function open({ algorithm, key, nonce, aad }: AeadInput, sealed: Uint8Array): Buffer | null {
  const length = sealed.length - algorithm.tagBytes;
  if (length < 1) return null;
  try {
    const options = { authTagLength: algorithm.tagBytes };
    const decipher = createDecipheriv(algorithm.cipher as AnyCipher, key, nonce, options);
    decipher.setAuthTag(sealed.subarray(length));
    decipher.setAAD(aad, { plaintextLength: length });
    const plaintext = decipher.update(sealed.subarray(0, length));
    decipher.final();
    return plaintext;
  } catch {
    return null;
  }
}
