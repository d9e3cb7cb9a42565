import type { ResponseValidity } from "../types.js";

export interface CachedResponsesOptions {
  /** Largest number of responses; 0 disables the cache. */
  readonly maxEntries: number;
  /** Approximate bound of the memory for keys and responses, in bytes. */
  readonly maxBytes: number;
}

/** A response as it was sent: its code, and the bytes after the token. */
export interface CachedResponse {
  readonly code: number;
  /** Options and payload. */
  readonly bytes: Uint8Array;
  readonly validity: ResponseValidity;
  /** It was used since the eviction last passed over it. */
  wasHit: boolean;
}

/** Memory that an entry takes in addition to its key and bytes. */
const ENTRY_BYTES = 300;

/**
 * Responses by cache key, where the key is the bytes of the request after its token: it contains every option that RFC 7252
 * section 5.6 makes part of the cache key. A response is admitted at the second request for it, and evicted by second chance.
 */
export class CachedResponses {
  readonly #options: CachedResponsesOptions;
  readonly #responses = new Map<string, CachedResponse>();
  /** Keys requested recently, in two generations; a key in either of them is admitted. */
  #recent = new Set<string>();
  #earlier = new Set<string>();
  #bytes = 0;

  constructor(options: CachedResponsesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#responses.size;
  }

  /** Returns the response for this key if it is fresh. */
  get(key: string): CachedResponse | undefined {
    const response = this.#responses.get(key);
    if (response === undefined) return undefined;
    if (response.validity.isStale) {
      this.#drop(key, response);
      return undefined;
    }
    if (!response.validity.isFresh()) return undefined;
    response.wasHit = true;
    return response;
  }

  /** Notes a request and returns whether its response should be stored. */
  admits(key: string): boolean {
    if (this.#options.maxEntries === 0) return false;
    if (this.#recent.has(key) || this.#earlier.has(key)) return true;
    this.#recent.add(key);
    if (this.#recent.size < this.#options.maxEntries) return false;
    this.#earlier = this.#recent;
    this.#recent = new Set();
    return false;
  }

  store(key: string, code: number, bytes: Uint8Array, validity: ResponseValidity): void {
    const known = this.#responses.get(key);
    if (known !== undefined) this.#drop(key, known);
    // A view would keep the whole datagram, or its pool, in memory.
    this.#responses.set(key, { code, bytes: bytes.slice(), validity, wasHit: false });
    this.#bytes += weightOf(key, bytes);
    while (this.#responses.size > this.#options.maxEntries || this.#bytes > this.#options.maxBytes) this.#evictOne();
  }

  clear(): void {
    for (const [key, response] of [...this.#responses]) this.#drop(key, response);
    this.#recent.clear();
    this.#earlier.clear();
  }

  #evictOne(): void {
    for (const [key, response] of this.#responses) {
      if (!response.wasHit || response.validity.isStale) {
        this.#drop(key, response);
        return;
      }
      response.wasHit = false;
      this.#responses.delete(key);
      this.#responses.set(key, response);
    }
  }

  #drop(key: string, response: CachedResponse): void {
    this.#responses.delete(key);
    this.#bytes -= weightOf(key, response.bytes);
    response.validity.dispose();
  }
}

function weightOf(key: string, bytes: Uint8Array): number {
  return key.length + bytes.length + ENTRY_BYTES;
}
