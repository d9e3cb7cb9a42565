import type { TcpConnection } from "./connection.js";
import { ConnectionPlaces } from "./connection-places.js";

/** Places for the connections of several listeners together, beside those that each of them has. */
export class SharedConnections {
  readonly places: ConnectionPlaces<TcpConnection>;

  /** `maxConnectionsPerAddress`: of one address, or one IPv6 /64, at all of the listeners. */
  constructor(limits: { readonly maxConnections: number; readonly maxConnectionsPerAddress: number }) {
    const { maxConnections, maxConnectionsPerAddress: maxPerHolder } = limits;
    this.places = new ConnectionPlaces({ maxConnections, maxPerHolder });
  }

  /** Connections at present. */
  get size(): number {
    return this.places.size;
  }
}
