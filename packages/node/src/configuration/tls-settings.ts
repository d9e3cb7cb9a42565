import { resolve } from "node:path";
import type { TlsConfig, UpstreamTlsConfig } from "../credentials/types.js";
import { filePath, show } from "./field-parsers.js";
import type { ValuePath } from "./source-position.js";

type KeyFiles = Readonly<Record<string, string>>;

interface CheckedTls extends CertificateFiles {
  readonly clients?: TlsConfig["clients"] | undefined;
  readonly psk?: KeyFiles | undefined;
}

interface CheckedUpstreamTls extends CertificateFiles {
  readonly psk?: KeyFiles | undefined;
  readonly "server-name"?: string | undefined;
}

/** Largest identity of a pre-shared key (RFC 4279 section 5.3), bytes. */
const MAX_IDENTITY_BYTES = 128;

/** Files of pre-shared keys by identity, as written, or every mistake with its place. */
export function sharedKeyFiles(
  value: unknown,
  name: string,
):
  | { readonly ok: true; readonly value: Readonly<Record<string, string>> }
  | { readonly ok: false; readonly issues: readonly { readonly path: string[]; readonly message: string }[] } {
  const example = "write an identity and the path of the file with its key, such as { lamp-7: lamp-7.key }";
  if (typeof value !== "object" || value === null || Array.isArray(value) || Object.keys(value).length === 0)
    return {
      ok: false,
      issues: [{ path: [], message: `${name} is ${isMapping(value) ? "empty" : show(value)}; ${example}` }],
    };
  const issues = Object.entries(value).flatMap(([identity, file]) => {
    const path = [identity];
    if (identity === "" || Buffer.byteLength(identity) > MAX_IDENTITY_BYTES || /\p{Cc}/u.test(identity))
      return [{ path, message: `${name} has the identity ${show(identity)}; write 1 to ${MAX_IDENTITY_BYTES} bytes` }];
    const parsed = filePath(file, `the key of ${identity}`);
    return parsed.ok ? [] : [{ path, message: parsed.message }];
  });
  return issues.length > 0 ? { ok: false, issues } : { ok: true, value: value as Readonly<Record<string, string>> };
}

/** Fills in the defaults of `tls`. Relative paths are relative to `folder`. Pure. */
export function completeTls(tls: CheckedTls, folder: string): TlsConfig {
  return {
    ...certificateFiles(tls, folder),
    clients: tls.clients ?? (tls.ca === undefined ? "none" : "required"),
    psk: Object.fromEntries(Object.entries(tls.psk ?? {}).map(([identity, file]) => [identity, resolve(folder, file)])),
  };
}

/** The same of an upstream. Pure. */
export function completeUpstreamTls(tls: CheckedUpstreamTls, folder: string): UpstreamTlsConfig {
  const [shared] = Object.entries(tls.psk ?? {});
  const serverName = tls["server-name"];
  return {
    ...certificateFiles(tls, folder),
    ...(shared === undefined ? {} : { psk: { identity: shared[0], key: resolve(folder, shared[1]) } }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

/** Paths of a certificate, its key and its authorities, as written. */
export type CertificateFiles = { readonly [key in "ca" | "cert" | "key"]?: string | undefined };

/** Absolute paths of the files of a certificate. Pure. */
export function certificateFiles({ ca, cert, key }: CertificateFiles, folder: string) {
  return {
    ...(ca === undefined ? {} : { ca: resolve(folder, ca) }),
    ...(cert === undefined ? {} : { cert: resolve(folder, cert) }),
    ...(key === undefined ? {} : { key: resolve(folder, key) }),
  };
}

/** What the checks need of the unchecked value. URIs are canonical; undefined ones are malformed. */
export interface TlsUse {
  readonly tls: unknown;
  readonly listen: readonly (string | undefined)[];
  readonly upstreams: readonly { readonly path: ValuePath; readonly uri: string | undefined; readonly tls: unknown }[];
  /** Whether other servers are asked over TLS, such as anycast peers. */
  readonly asksOthers: boolean;
}

interface Issue {
  readonly path: ValuePath;
  readonly message: string;
}

/** Checks `tls` of the node and of its upstreams against the URIs that need it. Pure. */
export function checkTls({ tls, listen, upstreams, asksOthers }: TlsUse): Issue[] {
  const issues: Issue[] = [];
  const secured = listen.findIndex(isSecured);
  const own = isMapping(tls) ? tls : {};
  if (secured >= 0 && own.cert === undefined && own.psk === undefined) {
    const message = `${listen[secured]} needs a certificate or pre-shared keys; add tls with cert and key, or with psk`;
    issues.push({ path: ["listen", secured], message });
  }
  if (isMapping(tls)) {
    issues.push(...checkPair(tls, ["tls"]));
    if (tls.clients !== undefined && tls.clients !== "none" && tls.ca === undefined) {
      const message = "certificates of clients are verified with ca; add it, or remove clients";
      issues.push({ path: ["tls", "clients"], message });
    }
    if (secured < 0 && !asksOthers && !upstreams.some(({ uri }) => isSecured(uri)))
      issues.push({
        path: ["tls"],
        message: "no URI has coaps+tcp, so tls has no effect; remove it, or write such a URI",
      });
    else if (secured < 0)
      for (const key of ["psk", "clients"])
        if (tls[key] !== undefined) {
          const message = `${key} is about clients, and listen has no coaps+tcp; remove it, or add such a URI there`;
          issues.push({ path: ["tls", key], message });
        }
  }
  for (const upstream of upstreams) issues.push(...checkUpstream(upstream));
  return issues;
}

function checkUpstream({ path, uri, tls }: TlsUse["upstreams"][number]): Issue[] {
  if (!isMapping(tls)) return [];
  const at = [...path, "tls"];
  if (uri !== undefined && !isSecured(uri))
    return [{ path: at, message: `tls is not used with ${uri}; write coaps+tcp:// there, or remove tls` }];
  const issues = checkPair(tls, at);
  if (!isMapping(tls.psk)) return issues;
  if (Object.keys(tls.psk).length > 1)
    issues.push({ path: [...at, "psk"], message: "this node has one identity at an upstream; write one" });
  for (const key of ["ca", "cert", "key", "server-name"])
    if (tls[key] !== undefined)
      issues.push({ path: [...at, key], message: `the pre-shared key proves both sides; remove ${key}, or psk` });
  return issues;
}

function checkPair(tls: Mapping, path: ValuePath): Issue[] {
  if ((tls.cert === undefined) === (tls.key === undefined)) return [];
  const [there, missing] = tls.key === undefined ? ["cert", "key"] : ["key", "cert"];
  return [{ path: [...path, there], message: `${there} without ${missing}; add ${missing}` }];
}

function isSecured(uri: string | undefined): boolean {
  return uri?.startsWith("coaps+tcp:") === true;
}

type Mapping = Readonly<Record<string, unknown>>;

function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
