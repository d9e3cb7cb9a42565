/** A connection as something that takes a place. */
export interface PlacedConnection {
  /** The first message that every peer has to send was received. */
  readonly hasSpoken: boolean;
  /** Something waits for the peer, or the peer for us. */
  readonly isInUse: boolean;
  /** When a request or response was sent or received last, or the connection made. */
  readonly usedAtMs: number;
}

export interface ConnectionPlacesOptions {
  readonly maxConnections: number;
  /** Connections of one holder (see `addressHolder`). */
  readonly maxPerHolder: number;
}

/** What is to be done about a newcomer: take it, take it in the place of another, or refuse it for a cause. */
export type Admission<C> =
  | { readonly kind: "free" }
  | { readonly kind: "replace"; readonly connection: C }
  | { readonly kind: "refused"; readonly cause: "connection-limit" | "connection-limit-per-address" };

/**
 * Shares the places of a listener: when all are taken, those who hold most give one of which they make no use to a newcomer
 * who holds less; and one that is in use where a holder has more than its share.
 */
export class ConnectionPlaces<C extends PlacedConnection> {
  readonly #options: ConnectionPlacesOptions;
  readonly #holders = new Map<string, Set<C>>();
  #size = 0;

  constructor(options: ConnectionPlacesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#size;
  }

  admit(holder: string): Admission<C> {
    const { maxConnections, maxPerHolder } = this.#options;
    const ownSize = this.#holders.get(holder)?.size ?? 0;
    if (ownSize >= maxPerHolder) return { kind: "refused", cause: "connection-limit-per-address" };
    if (this.#size < maxConnections) return { kind: "free" };
    const richer = [...this.#holders.values()].filter(({ size }) => size > ownSize).sort((a, b) => b.size - a.size);
    for (const connections of richer) {
      const connection = leastUsed(connections);
      if (connection !== null) return { kind: "replace", connection };
    }
    const share = maxConnections / (this.#holders.size + (ownSize === 0 ? 1 : 0));
    const [richest] = richer;
    if (richest !== undefined && richest.size > share && richest.size > ownSize + 1) {
      const connection = leastUsed(richest, true);
      if (connection !== null) return { kind: "replace", connection };
    }
    return { kind: "refused", cause: "connection-limit" };
  }

  add(holder: string, connection: C): void {
    const own = this.#holders.get(holder);
    if (own === undefined) this.#holders.set(holder, new Set([connection]));
    else own.add(connection);
    this.#size++;
  }

  remove(holder: string, connection: C): void {
    const own = this.#holders.get(holder);
    if (own?.delete(connection) !== true) return;
    this.#size--;
    if (own.size === 0) this.#holders.delete(holder);
  }
}

/**
 * One that never said anything before one that did, and then the one that was of no use for longest; null: all are in use,
 * unless those count as well.
 */
function leastUsed<C extends PlacedConnection>(connections: ReadonlySet<C>, takesUsed = false): C | null {
  let least: C | null = null;
  for (const connection of connections) {
    if (connection.isInUse && !takesUsed) continue;
    const isLess =
      least === null ||
      (connection.hasSpoken === least.hasSpoken ? connection.usedAtMs < least.usedAtMs : !connection.hasSpoken);
    if (isLess) least = connection;
  }
  return least;
}
