import { constants } from "node:crypto";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import { TransportError } from "../errors.js";
import type { TlsClientCredentials, TlsServerCredentials } from "../types.js";

/** Protocol of RFC 8323 section 11.7 in the negotiation of TLS (RFC 7301). A peer without the extension is accepted. */
export const ALPN_PROTOCOLS: readonly string[] = ["coap"];

const TLS13 = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_AES_128_CCM_SHA256",
];
/** Forward secrecy and authenticated encryption only (RFC 9325 section 4.2). */
const CERTIFICATE_SUITES = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-ECDSA-AES128-CCM",
];
/** The first has forward secrecy; the others are what constrained devices have (RFC 7925 section 4.2). */
const KEY_SUITES = [
  "ECDHE-PSK-CHACHA20-POLY1305",
  "PSK-AES128-GCM-SHA256",
  "PSK-AES256-GCM-SHA384",
  "PSK-CHACHA20-POLY1305",
  "PSK-AES128-CCM",
];
/**
 * The suite that every CoAP implementation with pre-shared keys has (RFC 7252 section 9.1.3.1). Its tag of 64 bits needs security level
 * 0 of OpenSSL, which would also accept weak certificates: it is offered only where there are none.
 */
const SHORT_TAG_SUITES = ["PSK-AES128-CCM8", "@SECLEVEL=0"];

/**
 * No renegotiation (RFC 7925 section 17), and no resumption: a resumed session would outlive the withdrawal of a credential, and over
 * TLS 1.3 could not be distinguished from a pre-shared key.
 */
const SECURE_OPTIONS = constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET;

const BOTH_VERSIONS = { minVersion: "TLSv1.2", maxVersion: "TLSv1.3", secureOptions: SECURE_OPTIONS } as const;

/** Settings of OpenSSL for a server. Pure. */
export function serverContextOptions(credentials: TlsServerCredentials): SecureContextOptions {
  const { certificate, clientAuthorities, preSharedKeys } = credentials;
  const hasKeys = (preSharedKeys?.size ?? 0) > 0;
  const suites = [
    ...TLS13,
    ...(certificate === undefined ? [] : CERTIFICATE_SUITES),
    ...(hasKeys ? KEY_SUITES : []),
    ...(hasKeys && certificate === undefined ? SHORT_TAG_SUITES : []),
  ];
  return {
    ...BOTH_VERSIONS,
    ciphers: suites.join(":"),
    ...(certificate === undefined ? {} : { cert: certificate.chain, key: certificate.key }),
    ...(clientAuthorities === undefined ? {} : { ca: clientAuthorities }),
  };
}

/** Settings of OpenSSL for a client. With a pre-shared key it takes no suite in which a server could do without it. Pure. */
export function clientContextOptions({ authorities, certificate, preSharedKey }: TlsClientCredentials) {
  if (preSharedKey !== undefined) {
    const ciphers = [...KEY_SUITES, ...SHORT_TAG_SUITES].join(":");
    return { ...BOTH_VERSIONS, maxVersion: "TLSv1.2", ciphers } satisfies SecureContextOptions;
  }
  return {
    ...BOTH_VERSIONS,
    ciphers: [...TLS13, ...CERTIFICATE_SUITES].join(":"),
    ...(certificate === undefined ? {} : { cert: certificate.chain, key: certificate.key }),
    ...(authorities === undefined ? {} : { ca: authorities }),
  } satisfies SecureContextOptions;
}

const contexts = new WeakMap<TlsClientCredentials, SecureContext>();

/**
 * Returns the context of credentials, which is made once for each object.
 * @throws {TransportError} BAD_ARGUMENT when they cannot be used.
 */
export function clientContext(credentials: TlsClientCredentials): SecureContext {
  const known = contexts.get(credentials);
  if (known !== undefined) return known;
  const context = contextOf(clientContextOptions(credentials));
  contexts.set(credentials, context);
  return context;
}

/** @throws {TransportError} BAD_ARGUMENT when a certificate or key cannot be read, or they do not belong together. */
export function contextOf(options: SecureContextOptions): SecureContext {
  try {
    return createSecureContext(options);
  } catch (cause) {
    throw new TransportError("BAD_ARGUMENT", `TLS cannot use the credentials: ${tlsProblem(cause)}`, { cause });
  }
}

/** What went wrong, in the words of OpenSSL without its numbers. Pure. */
export function tlsProblem(error: unknown): string {
  const { code = "", reason, message } = error as { code?: string; reason?: string; message?: string };
  return PROBLEMS.get(code) ?? reason ?? message ?? String(error);
}

const PROBLEMS: ReadonlyMap<string, string> = new Map([
  ["CERT_HAS_EXPIRED", "the certificate has expired"],
  ["CERT_NOT_YET_VALID", "the certificate is not valid yet"],
  ["CERT_REVOKED", "the certificate was revoked"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "the certificate is signed by itself, and not trusted here"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "the certificate is signed by an authority that is not trusted here"],
  ["UNABLE_TO_GET_ISSUER_CERT", "the certificate is signed by an authority that is not trusted here"],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "the certificate is signed by an authority that is not trusted here"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "the certificate is signed by an authority that is not trusted here"],
  ["ECONNRESET", "the peer ended the TLS handshake"],
  ["ERR_OSSL_X509_KEY_VALUES_MISMATCH", "the key does not belong to the certificate"],
]);
