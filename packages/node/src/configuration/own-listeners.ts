import { networkInterfaces } from "node:os";
import { parseCoapUri } from "@tributary/coap-transport";

/** Default of `listen`: reachable from this machine only. */
export const DEFAULT_LISTEN = ["coap://localhost"] as const;

/** Returns the addresses of this host: IP literals without zone, as in RFC 5952. */
export type HostAddresses = () => readonly string[];

/** Returns the present addresses from the system. */
export function systemHostAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((entries = []) => entries.map(({ address }) => address));
}

/** Addresses of `localhost` (RFC 6761 section 6.3). */
const LOOPBACK = ["127.0.0.1", "::1"] as const;
/** Listeners on all addresses; that of IPv6 also accepts IPv4. */
const WILDCARDS: ReadonlyMap<string, RegExp> = new Map([
  ["::", /./],
  ["0.0.0.0", /^[0-9.]+$/],
]);

/**
 * The CoAP servers that are certainly listeners of this node: the configured ones, and for a listener on all addresses each address
 * of this host. Names other than `localhost` are not resolved, because they may refer to any host.
 */
export class OwnListeners {
  /** URIs, and results of `placeOf`. */
  readonly #own: ReadonlySet<string>;

  /** `listen` are canonical URIs; `hostAddresses` is called when one of them listens on all addresses. */
  constructor(listen: readonly string[], hostAddresses: HostAddresses) {
    const own = new Set(listen);
    for (const uri of listen) {
      const { scheme, host, port } = parseCoapUri(uri);
      const taken = WILDCARDS.get(host);
      if (taken !== undefined)
        for (const address of hostAddresses()) if (taken.test(address)) own.add(placeOf(scheme, address, port));
      for (const address of host === "localhost" ? LOOPBACK : [host]) own.add(placeOf(scheme, address, port));
    }
    this.#own = own;
  }

  /** Whether a canonical `uri` is a listener of this node. */
  has(uri: string): boolean {
    if (this.#own.has(uri)) return true;
    const { scheme, host, hostIsLiteral, zone, port } = parseCoapUri(uri);
    const addresses = host === "localhost" ? LOOPBACK : hostIsLiteral && zone === undefined ? [host] : [];
    return addresses.length > 0 && addresses.every((address) => this.#own.has(placeOf(scheme, address, port)));
  }
}

function placeOf(scheme: string, address: string, port: number): string {
  return `${scheme} ${address} ${port}`;
}
