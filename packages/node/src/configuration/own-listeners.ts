import { networkInterfaces } from "node:os";
import { parseCoapUri } from "@tributary/coap-transport";

/** Where a node listens unless told otherwise: for the programs of this machine alone. */
export const DEFAULT_LISTEN = ["coap://localhost"] as const;

/** Lists the addresses of this host: IP literals without zone, as RFC 5952 writes them. */
export type HostAddresses = () => readonly string[];

/** What the system says now. */
export function systemHostAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((entries = []) => entries.map(({ address }) => address));
}

/** What the name of this machine stands for (RFC 6761 section 6.3), when it is listened on and when it is asked. */
const LOOPBACK = ["127.0.0.1", "::1"] as const;
/** A listener of all IPv6 addresses takes IPv4 as well. */
const WILDCARDS: ReadonlyMap<string, RegExp> = new Map([
  ["::", /./],
  ["0.0.0.0", /^[0-9.]+$/],
]);

/**
 * The CoAP servers that are listeners of this node for certain: those that it names, and behind a listener of all addresses
 * each address of this host. Names other than `localhost` are not resolved, because they may lead anywhere.
 */
export class OwnListeners {
  /** URIs and places, as `placeOf` writes them. */
  readonly #own: ReadonlySet<string>;

  /** `listen` are canonical URIs; `hostAddresses` is asked when one of them is a listener of all addresses. */
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

  /** `uri` is canonical. */
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
