import type { BegunBody } from "./lookup-rendering.js";

/** Largest number of bodies that are shared at one time. */
const MAX_BODIES = 8;
/** Largest total size of the shared bodies, bytes. */
const MAX_BYTES = 16_777_216;

/**
 * Long bodies, shared by requests for the same lookup until the directory changes: several clients that poll a broad lookup cost
 * no more than one of them.
 */
export class BegunBodies {
  readonly #bodies = new Map<string, BegunBody>();
  #state = "";

  /** Returns the body for a lookup in this state of the directory. */
  get(lookup: string, state: string): BegunBody | undefined {
    if (state !== this.#state) return undefined;
    return this.#bodies.get(lookup);
  }

  /** Drops a body that cannot be continued. */
  drop(body: BegunBody): void {
    for (const [lookup, known] of this.#bodies) if (known === body) this.#bodies.delete(lookup);
  }

  /** Keeps a body. Those of an earlier state are dropped, and the oldest ones where there are too many or they are too long. */
  keep(lookup: string, state: string, body: BegunBody): void {
    if (state !== this.#state) this.#bodies.clear();
    this.#state = state;
    this.#bodies.set(lookup, body);
    let bytes = 0;
    for (const { rest } of this.#bodies.values()) bytes += rest.writtenBytes;
    for (const [oldest, { rest }] of this.#bodies) {
      if (this.#bodies.size <= MAX_BODIES && bytes <= MAX_BYTES) return;
      this.#bodies.delete(oldest);
      bytes -= rest.writtenBytes;
    }
  }
}
