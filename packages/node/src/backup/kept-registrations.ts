import type { RegistrationStore, StoreChange, StoredRegistration } from "@tributary/resource-directory";

/** A registration as a store has it. */
export interface KeptRegistration {
  readonly stored: StoredRegistration;
  /** Position to be expected by a write; null: the store has given none. */
  readonly position: number | null;
  /** Whether the store knows that its lifetime has ended. */
  readonly isEnded: boolean;
}

/** What a store has, kept current by its changes. */
export class KeptRegistrations {
  readonly #byId = new Map<string, KeptRegistration>();
  readonly #idOf = new Map<string, string>();

  private constructor(store: RegistrationStore) {
    store.follow((change) => this.#apply(change));
  }

  /** Reads everything that a store has. */
  static async of(store: RegistrationStore): Promise<KeptRegistrations> {
    const kept = new KeptRegistrations(store);
    for await (const stored of store.load()) kept.#put({ stored, position: null, isEnded: false });
    return kept;
  }

  byId(id: string): KeptRegistration | undefined {
    return this.#byId.get(id);
  }

  byEndpoint(endpoint: Pick<StoredRegistration, "ep" | "d">): KeptRegistration | undefined {
    const id = this.#idOf.get(nameOf(endpoint));
    return id === undefined ? undefined : this.#byId.get(id);
  }

  /** Those whose lifetime has not ended at `wallMs`. */
  *live(wallMs: number): Generator<StoredRegistration> {
    for (const { stored, isEnded } of this.#byId.values()) if (!isEnded && !hasEnded(stored, wallMs)) yield stored;
  }

  #apply({ kind, id, position, registration }: StoreChange): void {
    if (kind === "delete" || registration === undefined) this.#remove(id);
    else this.#put({ stored: registration, position, isEnded: kind === "end" });
  }

  #put(kept: KeptRegistration): void {
    const other = this.byEndpoint(kept.stored)?.stored;
    this.#byId.set(kept.stored.id, kept);
    // A crash between two writes may have left two of one name.
    const isOlder =
      other !== undefined && other.id !== kept.stored.id && other.renewedAtWallMs > kept.stored.renewedAtWallMs;
    if (!isOlder) this.#idOf.set(nameOf(kept.stored), kept.stored.id);
  }

  #remove(id: string): void {
    const before = this.#byId.get(id);
    if (before === undefined) return;
    this.#byId.delete(id);
    if (this.#idOf.get(nameOf(before.stored)) === id) this.#idOf.delete(nameOf(before.stored));
  }
}

/** Whether the lifetime of a registration is over at `wallMs`. Pure. */
export function hasEnded({ renewedAtWallMs, ltS }: StoredRegistration, wallMs: number): boolean {
  return renewedAtWallMs + ltS * 1000 <= wallMs;
}

/** An absent sector differs from an empty one. */
function nameOf({ ep, d }: Pick<StoredRegistration, "ep" | "d">): string {
  return JSON.stringify([ep, d]);
}
