import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { GlobalLookupError } from "../errors.js";

const OWNER_ONLY = 0o600;

/** The key pair of an announcer (Ed25519, RFC 8032). */
export class AnnouncerKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly #privateKey: KeyObject;

  /** @throws {GlobalLookupError} `KEY_UNSUITABLE` */
  constructor(privateKey: KeyObject) {
    if (privateKey.asymmetricKeyType !== "ed25519")
      throw new GlobalLookupError("KEY_UNSUITABLE", "the key is not of the kind Ed25519");
    this.#privateKey = privateKey;
    this.publicKey = Buffer.from(createPublicKey(privateKey).export({ format: "jwk" }).x ?? "", "base64url");
  }

  /** Returns the signature of `message`, 64 bytes. */
  sign(message: Uint8Array): Uint8Array {
    return sign(null, message, this.#privateKey);
  }
}

/** Generates a key pair. */
export function generateAnnouncerKey(): AnnouncerKey {
  return new AnnouncerKey(generateKeyPairSync("ed25519").privateKey);
}

/** Whether a signature is that of the announcer with this public key. Pure. */
export function isSignedBy(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const x = Buffer.from(publicKey).toString("base64url");
  return verify(null, message, createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" }), signature);
}

/**
 * Reads the key of an announcer from a file in PEM (PKCS #8, as `openssl genpkey -algorithm ed25519` writes it). A file that is missing
 * is made, readable for its owner only. `setting`: where the path was written, for messages.
 * @throws {GlobalLookupError} `KEY_UNSUITABLE`
 */
export async function loadAnnouncerKey(path: string, setting = "global.key"): Promise<AnnouncerKey> {
  try {
    return new AnnouncerKey(createPrivateKey(await readFile(path)));
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return await makeKey(path, setting);
    throw unsuitable(path, setting, error);
  }
}

async function makeKey(path: string, setting: string): Promise<AnnouncerKey> {
  const { privateKey } = generateKeyPairSync("ed25519");
  try {
    // Another process that makes it at the same time must not lose its key.
    await writeFile(path, privateKey.export({ format: "pem", type: "pkcs8" }), { mode: OWNER_ONLY, flag: "wx" });
  } catch (error) {
    throw unsuitable(path, setting, error);
  }
  return new AnnouncerKey(privateKey);
}

function unsuitable(path: string, setting: string, cause: unknown): GlobalLookupError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `${setting} ${path} is no key: ${reason}; write one with openssl genpkey -algorithm ed25519`;
  return new GlobalLookupError("KEY_UNSUITABLE", message, { cause });
}
