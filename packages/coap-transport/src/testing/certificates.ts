import { generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";
import type { TlsCertificate } from "../types.js";

/** What a certificate of a test is for. */
export interface CertificateSubject {
  /** Common name; default none. */
  readonly name?: string;
  readonly dns?: readonly string[];
  readonly uris?: readonly string[];
  /** IPv4 addresses. */
  readonly addresses?: readonly string[];
  /** Its time has passed. Default false. */
  readonly isExpired?: boolean;
}

/** An authority of a test, with the certificates that it signs. */
export interface TestAuthority {
  /** PEM. */
  readonly certificate: string;
  issue(subject: CertificateSubject): TlsCertificate;
}

/** ecdsa-with-SHA256 (RFC 5758 section 3.2). */
const SIGNATURE = sequence(der(0x06, Buffer.from("2a8648ce3d040302", "hex")));
const COMMON_NAME = der(0x06, Buffer.from("550403", "hex"));
const BASIC_CONSTRAINTS = der(0x06, Buffer.from("551d13", "hex"));
const ALTERNATIVE_NAMES = der(0x06, Buffer.from("551d11", "hex"));
const TRUE = der(0x01, Buffer.from([0xff]));

/** Creates an authority with a key of its own. */
export function createTestAuthority(name = "test authority"): TestAuthority {
  const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const certificate = certify({ name }, own.publicKey, { name, key: own.privateKey }, true);
  return {
    certificate,
    issue(subject) {
      const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      return {
        chain: certify(subject, publicKey, { name, key: own.privateKey }, false),
        key: String(privateKey.export({ type: "pkcs8", format: "pem" })),
      };
    },
  };
}

function certify(
  subject: CertificateSubject,
  publicKey: KeyObject,
  issuer: { readonly name: string; readonly key: KeyObject },
  isAuthority: boolean,
): string {
  const names = [
    ...(subject.dns ?? []).map((text) => der(0x82, Buffer.from(text, "latin1"))),
    ...(subject.uris ?? []).map((text) => der(0x86, Buffer.from(text, "latin1"))),
    ...(subject.addresses ?? []).map((text) => der(0x87, Buffer.from(text.split(".").map(Number)))),
  ];
  const extensions = [
    ...(isAuthority ? [sequence(BASIC_CONSTRAINTS, TRUE, der(0x04, sequence(TRUE)))] : []),
    ...(names.length === 0 ? [] : [sequence(ALTERNATIVE_NAMES, der(0x04, sequence(...names)))]),
  ];
  const serial = randomBytes(8);
  serial[0] = 1;
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    SIGNATURE,
    nameOf(issuer.name),
    sequence(time("20200101000000Z"), time(subject.isExpired === true ? "20210101000000Z" : "21000101000000Z")),
    nameOf(subject.name),
    publicKey.export({ type: "spki", format: "der" }),
    ...(extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))]),
  );
  const signature = sign("sha256", body, issuer.key);
  const whole = sequence(body, SIGNATURE, der(0x03, Buffer.concat([Buffer.from([0]), signature])));
  return new X509Certificate(whole).toString();
}

function nameOf(commonName: string | undefined): Buffer {
  if (commonName === undefined) return sequence();
  return sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from(commonName)))));
}

/** X.509 has other types for years before and after 2050 (RFC 5280 section 4.1.2.5). */
function time(generalized: string): Buffer {
  const isLate = Number(generalized.slice(0, 4)) >= 2050;
  return isLate ? der(0x18, Buffer.from(generalized)) : der(0x17, Buffer.from(generalized.slice(2)));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

/** A value of X.690 section 8.1: tag, length, content. */
function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), content]);
}
