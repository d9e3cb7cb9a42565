import type { Clock } from "@tributary/runtime";
import { EMPTY_BYTES } from "../message/message.js";
import type { DeduplicationEntry, PeerRecord } from "./peer-record.js";

/** Bounds of the table, and how long a message stays in it. */
export interface DeduplicationOptions {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly lifetimeMs: number;
}

/** Expired entries removed with each new one. */
const SWEEP_STEP = 4;

/**
 * Messages received recently, so that a duplicate gets the same response and is handled once (RFC 7252 section 4.5). A ring whose
 * oldest entries are overwritten when it is full, in number or in bytes.
 */
export class Deduplication {
  readonly #clock: Clock;
  readonly #options: DeduplicationOptions;
  readonly #entries: (DeduplicationEntry | undefined)[] = [];
  #head = 0;
  #size = 0;
  #bytes = 0;

  constructor(deps: { readonly clock: Clock }, options: DeduplicationOptions) {
    this.#clock = deps.clock;
    this.#options = options;
  }

  get size(): number {
    return this.#size;
  }

  /** Returns the entry of the message that this one repeats, or null. */
  known(record: PeerRecord, messageId: number, datagram: Uint8Array): DeduplicationEntry | null {
    const known = record.recent.get(messageId);
    // A peer that has used up its message IDs reuses them too early, against section 4.4: this is another message.
    const isSame =
      known !== undefined && known.expiresAtMs > this.#clock.nowMs() && known.fingerprint === fingerprintOf(datagram);
    return isSame && known.isRepeatable?.() !== false ? known : null;
  }

  /** The same, and adds an entry if there is none. */
  find(record: PeerRecord, messageId: number, datagram: Uint8Array): DeduplicationEntry | null {
    const known = this.known(record, messageId, datagram);
    if (known !== null) return known;
    const nowMs = this.#clock.nowMs();
    this.#sweep(nowMs);
    const expiresAtMs = nowMs + this.#options.lifetimeMs;
    const fingerprint = fingerprintOf(datagram);
    const isRepeatable = null;
    const entry = { record, messageId, expiresAtMs, fingerprint, response: EMPTY_BYTES, isRepeatable };
    record.recent.set(messageId, entry);
    this.#entries[(this.#head + this.#size) % this.#options.maxEntries] = entry;
    this.#size++;
    return null;
  }

  /**
   * Sets the response to a message. When `isRepeatable` returns false, the next identical message counts as a new one: devices whose
   * message IDs begin with the same number after a reboot send identical datagrams.
   */
  setResponse(record: PeerRecord, messageId: number, response: Uint8Array, isRepeatable?: () => boolean): void {
    const entry = record.recent.get(messageId);
    if (entry === undefined) return;
    entry.isRepeatable = isRepeatable ?? null;
    this.#bytes += response.length - entry.response.length;
    entry.response = response;
    while (this.#bytes > this.#options.maxBytes) this.#dropOldest();
  }

  #sweep(nowMs: number): void {
    if (this.#size === this.#options.maxEntries) this.#dropOldest();
    for (let step = 0; step < SWEEP_STEP; step++) {
      const oldest = this.#entries[this.#head];
      if (oldest === undefined || oldest.expiresAtMs > nowMs) return;
      this.#dropOldest();
    }
  }

  #dropOldest(): void {
    const oldest = this.#entries[this.#head];
    if (oldest === undefined) return;
    this.#entries[this.#head] = undefined;
    this.#head = (this.#head + 1) % this.#options.maxEntries;
    this.#size--;
    this.#bytes -= oldest.response.length;
    oldest.response = EMPTY_BYTES;
    oldest.isRepeatable = null;
    const { record, messageId } = oldest;
    if (record.recent.get(messageId) === oldest) record.recent.delete(messageId);
  }
}

/** FNV-1a over all bytes: distinguishes different messages; not collision resistant. */
function fingerprintOf(datagram: Uint8Array): number {
  let hash = 0x811c9dc5 ^ datagram.length;
  for (let index = 0; index < datagram.length; index++)
    hash = Math.imul(hash ^ (datagram[index] as number), 0x01000193);
  return hash;
}
