/** TLS of this node, key `tls` in the file. Paths are absolute. */
export interface TlsConfig {
  /** Certificate of this node, as server and as client, followed by those of the authorities between it and a root. */
  readonly cert?: string;
  readonly key?: string;
  /** Certificates of the authorities that sign those of peers. */
  readonly ca?: string;
  /** Which clients have to show a certificate that one of the authorities signed. */
  readonly clients: "required" | "optional" | "none";
  /** Files of pre-shared keys, by the identity of the client. */
  readonly psk: Readonly<Record<string, string>>;
}

/** TLS to one upstream, key `tls` of an upstream in the file; what is absent is that of the node. */
export interface UpstreamTlsConfig {
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
  /** The identity of this node there, and the file of the key. */
  readonly psk?: { readonly identity: string; readonly key: string };
  /** The name that the certificate of the upstream has to be for. Absent: the host of its URI. */
  readonly serverName?: string;
}

/** The part of a configuration that says which credentials are used where. */
export interface TlsSettings {
  readonly listen: readonly string[];
  readonly tls?: TlsConfig;
  readonly lookup?: {
    readonly upstreams: readonly { readonly uris: readonly string[]; readonly tls?: UpstreamTlsConfig }[];
  };
}

/** A file that cannot be used, and the setting that names it. */
export interface FileProblem {
  readonly path: readonly (string | number)[];
  /** `mistake; correction`. */
  readonly message: string;
}
