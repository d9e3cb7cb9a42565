/**
 * Bounds how many keys each peer has announced lately. Counts in two generations, each of which lasts for the lifetime of announcements, so a
 * key is counted for one to two lifetimes.
 */
export class RecordQuota {
  readonly #perPeer: number;
  readonly #peers: number;
  readonly #lifetimeMs: number;
  #now = new Map<string, Set<string>>();
  #before = new Map<string, Set<string>>();
  #turnMs: number;

  /** `peers`: peers that are counted; further ones may announce nothing. */
  constructor(
    { perPeer, peers, lifetimeMs }: { readonly perPeer: number; readonly peers: number; readonly lifetimeMs: number },
    nowMs: number,
  ) {
    this.#perPeer = perPeer;
    this.#peers = peers;
    this.#lifetimeMs = lifetimeMs;
    this.#turnMs = nowMs + lifetimeMs;
  }

  /** Whether a peer may announce a key; counts it where it may. */
  take(peer: string, key: string, nowMs: number): boolean {
    this.#turn(nowMs);
    let keys = this.#now.get(peer);
    const before = this.#before.get(peer);
    if (keys?.has(key) === true) return true;
    if (keys === undefined && before === undefined && this.#now.size >= this.#peers) return false;
    if (before?.delete(key) !== true && (keys?.size ?? 0) + (before?.size ?? 0) >= this.#perPeer) return false;
    if (keys === undefined) {
      keys = new Set();
      this.#now.set(peer, keys);
    }
    keys.add(key);
    return true;
  }

  #turn(nowMs: number): void {
    if (nowMs < this.#turnMs) return;
    this.#before = nowMs < this.#turnMs + this.#lifetimeMs ? this.#now : new Map();
    this.#now = new Map();
    this.#turnMs = nowMs + this.#lifetimeMs;
  }
}
