import { createHash } from "node:crypto";
import type { FeedPosition } from "@tributary/replication";
import type { CopyStore, StoredCopy, StoredRegistration, StoredTimes } from "@tributary/upstream-sync";
import { packCopied, readCopied, readTimes, readUpstream, type StoredUpstream } from "./copy-format.js";
import type { Migration } from "./format-1-migration.js";
import { type OpenState, type OpenStateDeps, openState } from "./open-state.js";
import type { Damage } from "./rebuild-state.js";
import { RecordTable } from "./record-table.js";

/** The copies of an LP on disk. */
export interface CopySnapshot extends CopyStore {
  /** Records that could not be used, by cause. Monotonic. */
  readonly rejected: ReadonlyMap<string, number>;
  /** Damage found at this start; absent: none. With damage, every upstream is resynchronised. */
  readonly damage?: Damage;
}

/** Settings of `openCopySnapshot`. */
export interface CopySnapshotOptions {
  readonly path: string;
  /** Configuration key that names the folder, for messages. Default: `snapshot`. */
  readonly setting?: string;
}

const UPSTREAMS = "upstream";
const CONTENTS = "content";
const TIMES = "times";
const TABLES = [UPSTREAMS, CONTENTS, TIMES] as const;
/** Longest reference that fits into a key, characters. */
const MAX_PLACE_LENGTH = 400;
/** Separates source and href in a key. */
const SEPARATOR = "\0";

/** Opens the copies that an LP stored. @throws {StateError} */
export async function openCopySnapshot(
  deps: OpenStateDeps,
  { path, setting = "snapshot" }: CopySnapshotOptions,
): Promise<CopySnapshot> {
  const state = await openState(deps, { path, setting, rescued: new Set(TABLES), migrate: migrateCopies });
  return new LmdbCopySnapshot(deps, path, state);
}

/** A record that cannot be read leaves a gap, which is found when its copy is loaded. */
const migrateCopies: Migration = function* (former, _numberOf, records) {
  const into = { upstreams: UPSTREAMS, replicas: CONTENTS, times: TIMES } as const;
  for (const name of ["upstreams", "replicas", "times"] as const) {
    const table = new RecordTable(records, into[name]);
    for (const { key, content } of former(name)) {
      const place = Array.isArray(key) ? key.join(SEPARATOR) : String(key);
      if (key !== undefined) yield table.put(place, content ?? null);
    }
  }
};

class LmdbCopySnapshot implements CopySnapshot {
  readonly rejected = new Map<string, number>();
  readonly damage?: Damage;
  readonly #deps: OpenStateDeps;
  readonly #path: string;
  readonly #state: OpenState;
  readonly #upstreams: RecordTable;
  readonly #contents: RecordTable;
  /** Separate from the contents, so that a renewal writes little. */
  readonly #times: RecordTable;
  /** The upstreams as they will be on disk after all pending writes. */
  readonly #latest = new Map<string, StoredUpstream>();
  #hasFailed = false;

  constructor(deps: OpenStateDeps, path: string, state: OpenState) {
    this.#deps = deps;
    this.#path = path;
    this.#state = state;
    this.#upstreams = new RecordTable(state.records, UPSTREAMS);
    this.#contents = new RecordTable(state.records, CONTENTS);
    this.#times = new RecordTable(state.records, TIMES);
    for (const { key, content } of this.#upstreams.entries()) {
      const upstream = readUpstream(content);
      // Without the settings, a copy is of no use.
      if (upstream === undefined) this.#leaveOutUpstream(key);
      else this.#latest.set(key, upstream);
    }
    if (state.damage !== undefined) this.#noteDamage(state.damage);
  }

  sources(): string[] {
    return [...this.#latest.keys()];
  }

  load(source: string): StoredCopy | undefined {
    const upstream = this.#latest.get(source);
    if (upstream === undefined) return undefined;
    const { settings, authority, isComplete } = upstream;
    return { settings, authority, isComplete };
  }

  *registrations(source: string): Generator<StoredRegistration> {
    const { clock } = this.#state;
    const leftOut: string[] = [];
    for (const { key, content } of this.#contents.entries(source + SEPARATOR)) {
      const times = readTimes(this.#times.get(key));
      const registration = readCopied(content);
      if (registration === undefined || times === undefined) leftOut.push(key);
      else {
        const renewedAtWallMs = clock.toWall(times.renewedAtWallMs);
        const expiresAtWallMs = renewedAtWallMs + (times.expiresAtWallMs - times.renewedAtWallMs);
        yield { registration, ...times, renewedAtWallMs, expiresAtWallMs };
      }
    }
    if (leftOut.length > 0) this.#leaveOut(source, leftOut);
  }

  position(source: string): FeedPosition | undefined {
    return this.#latest.get(source)?.position;
  }

  open(source: string, copy: StoredCopy): void {
    const position = this.position(source);
    this.#keepUpstream(source, { ...copy, ...(position === undefined ? {} : { position }) });
  }

  put(source: string, { registration, ...times }: StoredRegistration): void {
    this.#write(this.#contents.put(keyOf(source, registration.href), packCopied(registration)));
    this.renew(source, registration.href, times);
  }

  renew(source: string, href: string, { renewedAtWallMs, expiresAtWallMs, stampMs }: StoredTimes): void {
    const renewedAtMs = this.#state.clock.toState(renewedAtWallMs);
    const stamp = stampMs === undefined ? [] : [stampMs];
    const times = [renewedAtMs, renewedAtMs + (expiresAtWallMs - renewedAtWallMs), ...stamp];
    this.#write(this.#times.put(keyOf(source, href), times));
  }

  remove(source: string, href: string): void {
    this.#removeKey(keyOf(source, href));
  }

  setPosition(source: string, position: FeedPosition | undefined): void {
    const known = this.#latest.get(source);
    if (known === undefined) return;
    const { position: _, ...copy } = known;
    this.#keepUpstream(source, position === undefined ? copy : { ...copy, position });
  }

  forget(source: string): void {
    this.#latest.delete(source);
    this.#write(this.#upstreams.remove(source));
    // A transaction keeps its place among the writes, so that it also finds records that are still being written.
    const removed = this.#state.environment.transaction(() => {
      for (const table of [this.#contents, this.#times]) {
        for (const key of [...table.keys(source + SEPARATOR)]) table.removeSync(key);
      }
      return true;
    });
    this.#write(removed);
  }

  close(): Promise<void> {
    return this.#state.close();
  }

  #removeKey(key: string): void {
    this.#write(this.#contents.remove(key));
    this.#write(this.#times.remove(key));
  }

  #keepUpstream(source: string, upstream: StoredUpstream): void {
    const { position: _, ...copy } = upstream;
    // With records missing, the cursor is not valid: after a restart the copy starts with an initial sync.
    const record = this.#hasFailed ? { ...copy, isComplete: false } : upstream;
    this.#latest.set(source, record);
    this.#write(this.#upstreams.put(source, record));
  }

  /** Records of unknown upstreams are missing, so no copy is complete and none resumes. */
  #noteDamage(damage: Damage): void {
    Object.assign(this, { damage });
    this.#reject("snapshot-damaged");
    if (damage.leftOut !== 0) this.#reject("snapshot-record", damage.leftOut ?? 1);
    for (const source of this.sources()) this.#noteGap(source);
  }

  #leaveOutUpstream(source: string): void {
    this.#reject("snapshot-record");
    this.#deps.logger.warn("an upstream of the snapshot cannot be read; it is resynchronised", {
      path: this.#path,
      upstream: source,
    });
    this.forget(source);
  }

  #leaveOut(source: string, keys: readonly string[]): void {
    this.#reject("snapshot-record", keys.length);
    this.#deps.logger.warn("registrations of the snapshot cannot be read and are left out", {
      path: this.#path,
      upstream: source,
      count: keys.length,
    });
    for (const key of keys) this.#removeKey(key);
    this.#noteGap(source);
  }

  /** Drops the cursor of a copy that lacks a registration. */
  #noteGap(source: string): void {
    const known = this.#latest.get(source);
    if (known === undefined) return;
    const { position: _, ...copy } = known;
    this.#keepUpstream(source, { ...copy, isComplete: false });
  }

  #reject(cause: string, count = 1): void {
    this.rejected.set(cause, (this.rejected.get(cause) ?? 0) + count);
  }

  #write(written: Promise<boolean>): void {
    written.catch(() => {
      this.#reject("snapshot-failure");
      if (this.#hasFailed) return;
      this.#hasFailed = true;
      for (const [source, upstream] of this.#latest) this.#keepUpstream(source, upstream);
    });
  }
}

function keyOf(source: string, href: string): string {
  return source + SEPARATOR + placeOf(href);
}

/** A reference, or the hash of one that is too long. */
function placeOf(href: string): string {
  return href.length <= MAX_PLACE_LENGTH ? href : `/${createHash("sha256").update(href).digest("base64url")}`;
}
