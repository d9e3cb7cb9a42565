/** Bounds of `EarlyPatches`. */
export interface EarlyPatchesLimits {
  readonly maxPatches: number;
  /** Of their payloads together. */
  readonly maxBytes: number;
}

/**
 * Patches of one feed that arrived before the patch they build on, since datagrams may overtake each other. The missing patch is
 * retransmitted until it is acknowledged, so that it arrives without being asked for.
 */
export class EarlyPatches<T extends { readonly response: { readonly payload: Uint8Array } }> {
  readonly #limits: EarlyPatchesLimits;
  readonly #byBase = new Map<string, T>();
  #bytes = 0;

  constructor(limits: EarlyPatchesLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#byBase.size;
  }

  /** Keeps a patch that builds on `base`; false when there is no room. Of two with the same base the later one stays. */
  add(base: string, patch: T): boolean {
    this.take(base);
    const { maxPatches, maxBytes } = this.#limits;
    if (this.#byBase.size >= maxPatches || this.#bytes + patch.response.payload.length > maxBytes) return false;
    this.#byBase.set(base, patch);
    this.#bytes += patch.response.payload.length;
    return true;
  }

  /** Removes and returns the patch that builds on `base`. */
  take(base: string): T | undefined {
    const patch = this.#byBase.get(base);
    if (patch === undefined) return undefined;
    this.#byBase.delete(base);
    this.#bytes -= patch.response.payload.length;
    return patch;
  }

  clear(): void {
    this.#byBase.clear();
    this.#bytes = 0;
  }
}
