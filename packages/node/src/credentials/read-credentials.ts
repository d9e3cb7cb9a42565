import { X509Certificate } from "node:crypto";
import {
  parseCoapUri,
  type TlsCertificate,
  type TlsClientCredentials,
  type TlsServerCredentials,
  type TlsServerName,
} from "@tributary/coap-transport";
import { type FileResult, readCertificate, readCertificates, readSharedKey } from "./secret-files.js";
import type { FileProblem, TlsConfig, TlsSettings, UpstreamTlsConfig } from "./types.js";

/** The credentials of a node, read from the files that its configuration names. */
export interface NodeCredentials {
  /** Absent: no listener needs any. */
  readonly server?: TlsServerCredentials;
  /** What this node proves to a server, and whom it trusts there. */
  readonly clientFor: (server: TlsServerName) => TlsClientCredentials;
  /** The files of own certificates, and when these end, ms since the epoch. */
  readonly ends: readonly { readonly file: string; readonly endsAtMs: number }[];
}

/** Credentials, or all that is wrong with the files. */
export type CredentialsResult =
  | { readonly ok: true; readonly credentials: NodeCredentials }
  | { readonly ok: false; readonly problems: readonly FileProblem[] };

type Path = readonly (string | number)[];

/** Credentials of a node without `tls`. */
export const NO_CREDENTIALS: NodeCredentials = { clientFor: () => ({}), ends: [] };

/** Reads the files that `tls` of the node and of its upstreams name, and checks who else may read or write them. */
export function readCredentials({ listen, tls, lookup }: TlsSettings): CredentialsResult {
  const reader = new Reader();
  const own = tls === undefined ? {} : reader.common(tls, ["tls"]);
  const preSharedKeys = reader.sharedKeys(tls?.psk ?? {});
  const byServer = new Map<string, TlsClientCredentials>();
  for (const [index, { uris, tls: upstream }] of (lookup?.upstreams ?? []).entries()) {
    if (upstream === undefined) continue;
    const credentials = reader.upstream(upstream, own, ["lookup", "upstreams", index, "tls"]);
    for (const uri of uris) byServer.set(serverKey(parseCoapUri(uri)), credentials);
  }
  if (reader.problems.length > 0) return { ok: false, problems: reader.problems };
  const isServing = listen.some((uri) => uri.startsWith("coaps+tcp:"));
  return {
    ok: true,
    credentials: {
      ...(isServing && tls !== undefined ? { server: serverCredentials(tls, own, preSharedKeys) } : {}),
      clientFor: (server) => byServer.get(serverKey(server)) ?? own,
      ends: reader.ends,
    },
  };
}

/** Credentials of a client that asks any server, or all that is wrong with the files; paths are keys of the configuration. */
export type ClientCredentialsResult =
  | { readonly ok: true; readonly credentials: TlsClientCredentials }
  | { readonly ok: false; readonly problems: readonly FileProblem[] };

/** Reads the files of a client that is no node, such as a command. */
export function readClientCredentials(config: UpstreamTlsConfig): ClientCredentialsResult {
  const reader = new Reader();
  const credentials = reader.upstream(config, {}, []);
  return reader.problems.length > 0 ? { ok: false, problems: reader.problems } : { ok: true, credentials };
}

interface Common {
  readonly authorities?: string;
  readonly certificate?: TlsCertificate;
}

function serverCredentials(
  { clients }: TlsConfig,
  { certificate, authorities }: Common,
  preSharedKeys: ReadonlyMap<string, Uint8Array>,
): TlsServerCredentials {
  return {
    ...(certificate === undefined ? {} : { certificate }),
    ...(authorities === undefined || clients === "none"
      ? {}
      : { clientAuthorities: authorities, clientCertificates: clients }),
    preSharedKeys,
  };
}

class Reader {
  readonly problems: FileProblem[] = [];
  readonly ends: { readonly file: string; readonly endsAtMs: number }[] = [];

  common({ ca, cert, key }: Pick<TlsConfig, "ca" | "cert" | "key">, path: Path): Common {
    const authorities = ca === undefined ? undefined : this.#take(readCertificates(ca), [...path, "ca"]);
    const certificate = cert === undefined || key === undefined ? undefined : this.#certificate(cert, key, path);
    return {
      ...(authorities === undefined ? {} : { authorities }),
      ...(certificate === undefined ? {} : { certificate }),
    };
  }

  sharedKeys(files: Readonly<Record<string, string>>): ReadonlyMap<string, Uint8Array> {
    const keys = new Map<string, Uint8Array>();
    for (const [identity, file] of Object.entries(files)) {
      const key = this.#take(readSharedKey(file), ["tls", "psk", identity]);
      if (key !== undefined) keys.set(identity, key);
    }
    return keys;
  }

  upstream(config: UpstreamTlsConfig, own: Common, path: Path): TlsClientCredentials {
    const { psk, serverName } = config;
    if (psk !== undefined) {
      const key = this.#take(readSharedKey(psk.key), [...path, "psk", psk.identity]);
      return key === undefined ? {} : { preSharedKey: { identity: psk.identity, key } };
    }
    return { ...own, ...this.common(config, path), ...(serverName === undefined ? {} : { serverName }) };
  }

  #certificate(cert: string, key: string, path: Path): TlsCertificate | undefined {
    const read = readCertificate(cert, key);
    const chain = this.#take(read.chain, [...path, "cert"]);
    const secret = this.#take(read.key, [...path, "key"]);
    if (chain === undefined || secret === undefined) return undefined;
    this.ends.push({ file: cert, endsAtMs: Date.parse(new X509Certificate(chain).validTo) });
    return { chain, key: secret };
  }

  #take<T>(result: FileResult<T>, path: Path): T | undefined {
    if (result.ok) return result.value;
    this.problems.push({ path, message: result.message });
    return undefined;
  }
}

function serverKey({ host, port }: Pick<TlsServerName, "host" | "port">): string {
  return `${host} ${port}`;
}
