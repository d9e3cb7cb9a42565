import type { Clock } from "@tributary/runtime";
import { EMPTY_BYTES } from "../message/message.js";
import type { DeduplicationEntry, PeerRecord } from "./peer-record.js";

/**
 * Messages received lately, so that a duplicate is answered alike and executed once (RFC 7252 section 4.5). A ring: the
 * oldest go first when there are too many, in number or in bytes.
 */
export interface Deduplication {
  /** The entry of the message that this one repeats, or null, in which case it is remembered from now on. */
  find(record: PeerRecord, messageId: number, datagram: Uint8Array): DeduplicationEntry | null;
  /** The same, and nothing is remembered. */
  known(record: PeerRecord, messageId: number, datagram: Uint8Array): DeduplicationEntry | null;
  /**
   * Remember what the message was answered with. When `isRepeatable` says no, the next message like it is taken for another
   * one: devices whose message ids start again with them send the same bytes after a reboot.
   */
  setAnswer(record: PeerRecord, messageId: number, answer: Uint8Array, isRepeatable?: () => boolean): void;
  readonly size: number;
}

export interface DeduplicationOptions {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly lifetimeMs: number;
}

/** Entries that expired are dropped this many at a time, with each new one. */
const SWEEP_STEP = 4;

export function createDeduplication(deps: { clock: Clock }, options: DeduplicationOptions): Deduplication {
  return new Ring(deps.clock, options);
}

class Ring implements Deduplication {
  readonly #clock: Clock;
  readonly #options: DeduplicationOptions;
  readonly #entries: (DeduplicationEntry | undefined)[] = [];
  #head = 0;
  #size = 0;
  #bytes = 0;

  constructor(clock: Clock, options: DeduplicationOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  get size(): number {
    return this.#size;
  }

  known(record: PeerRecord, messageId: number, datagram: Uint8Array): DeduplicationEntry | null {
    const known = record.recent.get(messageId);
    // A peer that ran out of message ids reuses them too early: another message, whatever section 4.4 says.
    const isSame =
      known !== undefined && known.expiresAtMs > this.#clock.nowMs() && known.fingerprint === fingerprintOf(datagram);
    return isSame && known.isRepeatable?.() !== false ? known : null;
  }

  find(record: PeerRecord, messageId: number, datagram: Uint8Array): DeduplicationEntry | null {
    const known = this.known(record, messageId, datagram);
    if (known !== null) return known;
    const nowMs = this.#clock.nowMs();
    this.#sweep(nowMs);
    const expiresAtMs = nowMs + this.#options.lifetimeMs;
    const fingerprint = fingerprintOf(datagram);
    const isRepeatable = null;
    const entry = { record, messageId, expiresAtMs, fingerprint, answer: EMPTY_BYTES, isRepeatable };
    record.recent.set(messageId, entry);
    this.#entries[(this.#head + this.#size) % this.#options.maxEntries] = entry;
    this.#size++;
    return null;
  }

  setAnswer(record: PeerRecord, messageId: number, answer: Uint8Array, isRepeatable?: () => boolean): void {
    const entry = record.recent.get(messageId);
    if (entry === undefined) return;
    entry.isRepeatable = isRepeatable ?? null;
    this.#bytes += answer.length - entry.answer.length;
    entry.answer = answer;
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
    this.#bytes -= oldest.answer.length;
    oldest.answer = EMPTY_BYTES;
    oldest.isRepeatable = null;
    const { record, messageId } = oldest;
    if (record.recent.get(messageId) === oldest) record.recent.delete(messageId);
  }
}

/** FNV-1a over all bytes: tells different messages apart, cheaply; not meant to withstand malice. */
function fingerprintOf(datagram: Uint8Array): number {
  let hash = 0x811c9dc5 ^ datagram.length;
  for (let index = 0; index < datagram.length; index++)
    hash = Math.imul(hash ^ (datagram[index] as number), 0x01000193);
  return hash;
}
