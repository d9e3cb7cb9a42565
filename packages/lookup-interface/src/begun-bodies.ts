import { BROAD_HEAD_BYTES } from "./constants.js";
import type { BegunBody } from "./lookup-rendering.js";

/** Largest number of bodies that are shared at one time. */
const MAX_BODIES = 8;
/** Largest total size of the shared bodies, bytes. */
const MAX_BYTES = 16_777_216;
/** Largest number of lookups that are known to be long, and of characters that name one of them. */
const MAX_LONG = 256;
const MAX_NAME_LENGTH = 1024;

/**
 * Long bodies, shared by requests for the same lookup until the directory changes: several clients that poll a broad lookup cost
 * no more than one of them. Which lookups are long is remembered across changes.
 */
export class BegunBodies {
  readonly #bodies = new Map<string, BegunBody>();
  /** The one that was begun last is the last. */
  readonly #long = new Set<string>();
  #state = "";

  /** Returns the body for a lookup in this state of the directory. */
  get(lookup: string, state: string): BegunBody | undefined {
    if (state !== this.#state) return undefined;
    return this.#bodies.get(lookup);
  }

  /** Whether the body of a lookup was long when it was begun last, so that it is of no use to write much of it in advance. */
  isLong(lookup: string): boolean {
    return this.#long.has(lookup);
  }

  /** Drops a body that cannot be continued. */
  drop(body: BegunBody): void {
    for (const [lookup, known] of this.#bodies) if (known === body) this.#bodies.delete(lookup);
  }

  /** Keeps a body. Those of an earlier state are dropped, and the oldest ones where there are too many or they are too long. */
  keep(lookup: string, state: string, body: BegunBody): void {
    if (state !== this.#state) this.#clear();
    this.#state = state;
    this.#bodies.set(lookup, body);
    this.#rememberLong(lookup);
    this.trim();
  }

  /** Drops the oldest bodies where there are too many or they are too long: they grow as they are read. */
  trim(): void {
    let bytes = 0;
    for (const { rest } of this.#bodies.values()) bytes += rest.writtenBytes;
    for (const [oldest, { rest }] of this.#bodies) {
      if (this.#bodies.size <= MAX_BODIES && bytes <= MAX_BYTES) return;
      this.#bodies.delete(oldest);
      bytes -= rest.writtenBytes;
    }
  }

  #clear(): void {
    // What turned out to be short is written at once the next time, and may then be cached.
    for (const [lookup, { rest }] of this.#bodies)
      if (rest.isWhole && rest.writtenBytes <= BROAD_HEAD_BYTES) this.#long.delete(lookup);
    this.#bodies.clear();
  }

  #rememberLong(lookup: string): void {
    if (lookup.length > MAX_NAME_LENGTH) return;
    this.#long.delete(lookup);
    this.#long.add(lookup);
    for (const oldest of this.#long) {
      if (this.#long.size <= MAX_LONG) return;
      this.#long.delete(oldest);
    }
  }
}
