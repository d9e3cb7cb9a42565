import { addCount, type Environment, ExpiringMap } from "@tributary/runtime";
import { KEPT_RECORD_MS, REMEMBERED_ANNOUNCERS } from "../constants.js";
import type { AddressPolicy } from "../record/address-policy.js";
import { readRecord } from "../record/rd-record.js";
import type { Pool } from "../types.js";

/** Collaborators of `AnnouncerRecords`. */
export interface AnnouncerRecordsDeps {
  readonly pool: Pick<Pool, "readRecord">;
  readonly env: Environment;
  readonly isUsable: AddressPolicy;
}

/** What is known of an announcer: where it is, or why it is not asked. */
export type KnownAnnouncer =
  | { readonly kind: "usable"; readonly uris: readonly string[] }
  /** `isSuspicious`: an honest announcer does not do that. */
  | { readonly kind: "void"; readonly isSuspicious: boolean };

interface Usable {
  readonly uris: readonly string[];
  readonly sequence: number;
  readonly expiresAtS: number;
}

interface Kept {
  readonly known: KnownAnnouncer;
  readonly sequence: number;
  readonly untilMs: number;
}

/** The verified records of announcers, kept for a while. */
export class AnnouncerRecords {
  /** Records that were not used, by cause. Monotonic. */
  readonly rejected = new Map<string, number>();
  readonly #deps: AnnouncerRecordsDeps;
  readonly #kept: ExpiringMap<Kept>;

  constructor(deps: AnnouncerRecordsDeps) {
    this.#deps = deps;
    const { clock } = deps.env;
    this.#kept = new ExpiringMap({ clock }, { lifetimeMs: KEPT_RECORD_MS, maxEntries: REMEMBERED_ANNOUNCERS });
  }

  /** Number of records that are kept. */
  get size(): number {
    return this.#kept.size;
  }

  /** Returns what the record of an announcer says; asks the pool where it is not known. Rejects with `POOL_AWAY`. */
  async get(announcer: Uint8Array, signal: AbortSignal): Promise<KnownAnnouncer> {
    const id = Buffer.from(announcer).toString("hex");
    const { pool, env } = this.#deps;
    const kept = this.#kept.get(id);
    if (kept !== undefined && kept.untilMs > env.clock.nowMs()) return kept.known;
    const bytes = await pool.readRecord(announcer, signal);
    return this.#keep(id, bytes === null ? "missing" : this.#read(bytes, announcer, kept?.sequence ?? 0));
  }

  /** The announcer did not respond: where it is now has to be read again. */
  forget(announcer: string): void {
    this.#kept.delete(announcer);
  }

  /** Forgets everything. */
  clear(): void {
    this.#kept.clear();
  }

  #read(bytes: Uint8Array, announcer: Uint8Array, leastSequence: number): Usable | string {
    const read = readRecord(bytes, announcer, Math.floor(this.#deps.env.clock.wallMs() / 1000));
    if (!read.ok) return read.cause;
    const { sequence, uris, expiresAtS } = read.record;
    // An older record that a member of the pool still has.
    if (sequence < leastSequence) return "outdated";
    const usable = uris.filter(this.#deps.isUsable);
    return usable.length === 0 ? "address" : { uris: usable, sequence, expiresAtS };
  }

  #keep(id: string, read: Usable | string): KnownAnnouncer {
    const nowMs = this.#deps.env.clock.nowMs();
    const { clock } = this.#deps.env;
    if (typeof read === "string") {
      addCount(this.rejected, read);
      const known: KnownAnnouncer = { kind: "void", isSuspicious: SUSPICIOUS.has(read) };
      this.#kept.set(id, { known, sequence: this.#kept.get(id)?.sequence ?? 0, untilMs: nowMs + VOID_MS });
      return known;
    }
    const known: KnownAnnouncer = { kind: "usable", uris: read.uris };
    const restMs = Math.min(KEPT_RECORD_MS, read.expiresAtS * 1000 - clock.wallMs());
    this.#kept.set(id, { known, sequence: read.sequence, untilMs: nowMs + restMs });
    return known;
  }
}

/** Time for which it is kept that an announcer has no usable record, ms. */
const VOID_MS = 30_000;
const SUSPICIOUS: ReadonlySet<string> = new Set(["too-large", "malformed", "forged", "missing", "address"]);
