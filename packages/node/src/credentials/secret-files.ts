import { createPrivateKey, X509Certificate } from "node:crypto";
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";

/** A file as it was read, or what is wrong with it: `mistake; correction`. */
export type FileResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string };

/** Larger files are no certificates and keys, bytes. */
const MAX_BYTES = 1_048_576;
/** Bits of the mode for those who are neither owner nor of the group, and for the group to write. */
const OPEN_TO_OTHERS = 0o007;
const WRITABLE_BY_OTHERS = 0o022;
/** A shorter key can be found by trying after one handshake was recorded (RFC 4279 section 7.3), bytes. */
const MIN_KEY_BYTES = 16;
const MAX_KEY_BYTES = 64;
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Reads certificates in PEM. Nobody but the owner may write the file, as who writes it decides who is trusted. */
export function readCertificates(path: string): FileResult<string> {
  const file = readFile(path, WRITABLE_BY_OTHERS);
  if (!file.ok) return file;
  const parts = file.value.match(PEM_CERTIFICATE) ?? [];
  if (parts.length === 0) return wrong(`${path} has no certificate; write one in PEM`);
  for (const part of parts) {
    try {
      new X509Certificate(part);
    } catch {
      return wrong(`${path} has a certificate that cannot be read; write it in PEM`);
    }
  }
  return { ok: true, value: file.value };
}

/** Reads a certificate and its private key, in PEM. */
export function readCertificate(path: string, key: string): { chain: FileResult<string>; key: FileResult<string> } {
  const chain = readCertificates(path);
  const secret = readFile(key, OPEN_TO_OTHERS | WRITABLE_BY_OTHERS);
  if (!secret.ok) return { chain, key: secret };
  try {
    const privateKey = createPrivateKey(secret.value);
    const isPair = !chain.ok || new X509Certificate(chain.value).checkPrivateKey(privateKey);
    return {
      chain,
      key: isPair ? secret : wrong(`${key} is not the key of ${path}; write the one that belongs to it`),
    };
  } catch {
    const isEncrypted = /-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(secret.value);
    const why = isEncrypted ? "is encrypted; write it without a passphrase" : "has no private key; write one in PEM";
    return { chain, key: wrong(`${key} ${why}`) };
  }
}

/** Reads a pre-shared key: hexadecimal digits. */
export function readSharedKey(path: string): FileResult<Uint8Array> {
  const file = readFile(path, OPEN_TO_OTHERS | WRITABLE_BY_OTHERS);
  if (!file.ok) return file;
  const digits = file.value.trim().replace(/^0x/i, "");
  if (!/^(?:[0-9a-f]{2})+$/i.test(digits))
    return wrong(`${path} is not hexadecimal; write the key so, as \`openssl rand -hex 32\` does`);
  const value = Buffer.from(digits, "hex");
  if (value.length >= MIN_KEY_BYTES && value.length <= MAX_KEY_BYTES) return { ok: true, value };
  return wrong(`${path} has a key of ${value.length} bytes; write one of ${MIN_KEY_BYTES} to ${MAX_KEY_BYTES}`);
}

/** Reads a file that has none of the bits in `forbidden`; the mode is that of the file that is read. */
function readFile(path: string, forbidden: number): FileResult<string> {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, "r");
    const stat = fstatSync(descriptor);
    if (stat.isDirectory()) return wrong(`${path} is a directory; write the path of a file`);
    const { mode, size } = stat;
    // Windows has no such bits.
    const open = process.platform === "win32" ? 0 : mode & forbidden;
    if (open !== 0) return wrong(`${path} ${openTo(open)}; restrict it: chmod ${remedy(forbidden)} ${path}`);
    if (size > MAX_BYTES) return wrong(`${path} has ${size} bytes; write certificates and keys only`);
    return { ok: true, value: readFileSync(descriptor, "latin1") };
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    return wrong(`${path} cannot be read: ${READ_PROBLEMS[code] ?? `${code}; check the file`}`);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function openTo(bits: number): string {
  if ((bits & 0o002) !== 0) return "can be written by everybody on this machine";
  return (bits & 0o020) !== 0 ? "can be written by its group" : "can be read by everybody on this machine";
}

function remedy(forbidden: number): string {
  return forbidden === WRITABLE_BY_OTHERS ? "go-w" : "g-w,o=";
}

const READ_PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file; check the path",
  ENOTDIR: "there is no such file; check the path",
  EACCES: "no permission; allow this user to read it",
  EPERM: "no permission; allow this user to read it",
};

function wrong(message: string): { readonly ok: false; readonly message: string } {
  return { ok: false, message };
}
