import { createHash } from "node:crypto";
import type { FeedPosition } from "@tributary/replication";
import type { KeptRegistration, KeptReplica, KeptTimes, ReplicaStore } from "@tributary/upstream-sync";
import type { TakeOver } from "./former-format.js";
import { type OpenState, type OpenStateDeps, openState } from "./open-state.js";
import type { Damage } from "./rebuild-state.js";
import { RecordTable } from "./record-table.js";
import { type KeptUpstream, packReplicated, readReplicated, readTimes, readUpstream } from "./replica-format.js";

export interface ReplicaSnapshot extends ReplicaStore {
  /** What could not be taken over, by cause. Monotonic. */
  readonly rejected: ReadonlyMap<string, number>;
  /** What was lost at this start; absent: nothing. Every upstream is synchronised again then. */
  readonly damage?: Damage;
}

export interface ReplicaSnapshotOptions {
  readonly path: string;
  /** Key of the configuration that names the folder, for messages; default `snapshot`. */
  readonly setting?: string;
}

const UPSTREAMS = "upstream";
const CONTENTS = "content";
const TIMES = "times";
const TABLES = [UPSTREAMS, CONTENTS, TIMES] as const;
/** Longer references would not fit into a key. */
const MAX_PLACE_LENGTH = 400;
/** Between source and place in a key. */
const SEPARATOR = "\0";

/** Open the replicas that an LP keeps. @throws {StateError} */
export async function openReplicaSnapshot(
  deps: OpenStateDeps,
  { path, setting = "snapshot" }: ReplicaSnapshotOptions,
): Promise<ReplicaSnapshot> {
  const state = await openState(deps, { path, setting, rescued: new Set(TABLES), takeOver: takeOverReplicas });
  return new LmdbReplicaSnapshot(deps, path, state);
}

/** A record that cannot be read leaves a gap, and is found when its upstream is brought back. */
const takeOverReplicas: TakeOver = function* (former, _numberOf, records) {
  const into = { upstreams: UPSTREAMS, replicas: CONTENTS, times: TIMES } as const;
  for (const name of ["upstreams", "replicas", "times"] as const) {
    const table = new RecordTable(records, into[name]);
    for (const { key, content } of former(name)) {
      const place = Array.isArray(key) ? key.join(SEPARATOR) : String(key);
      if (key !== undefined) yield table.put(place, content ?? null);
    }
  }
};

class LmdbReplicaSnapshot implements ReplicaSnapshot {
  readonly rejected = new Map<string, number>();
  readonly damage?: Damage;
  readonly #deps: OpenStateDeps;
  readonly #path: string;
  readonly #state: OpenState;
  readonly #upstreams: RecordTable;
  readonly #contents: RecordTable;
  /** Apart from the contents, so that a renewal writes little. */
  readonly #times: RecordTable;
  /** Upstreams as they will be kept when all writes are at rest. */
  readonly #latest = new Map<string, KeptUpstream>();
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
      // Without what it was followed by, what was copied of it is of no use.
      if (upstream === undefined) this.#leaveOutUpstream(key);
      else this.#latest.set(key, upstream);
    }
    if (state.damage !== undefined) this.#noteDamage(state.damage);
  }

  sources(): string[] {
    return [...this.#latest.keys()];
  }

  load(source: string): KeptReplica | undefined {
    const upstream = this.#latest.get(source);
    if (upstream === undefined) return undefined;
    const { settings, authority, isComplete } = upstream;
    return { settings, authority, isComplete };
  }

  *registrations(source: string): Generator<KeptRegistration> {
    const { clock } = this.#state;
    const leftOut: string[] = [];
    for (const { key, content } of this.#contents.entries(source + SEPARATOR)) {
      const times = readTimes(this.#times.get(key));
      const registration = readReplicated(content);
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

  open(source: string, replica: KeptReplica): void {
    const position = this.position(source);
    this.#keepUpstream(source, { ...replica, ...(position === undefined ? {} : { position }) });
  }

  put(source: string, { registration, ...times }: KeptRegistration): void {
    this.#write(this.#contents.put(keyOf(source, registration.href), packReplicated(registration)));
    this.renew(source, registration.href, times);
  }

  renew(source: string, href: string, { renewedAtWallMs, expiresAtWallMs, stampMs }: KeptTimes): void {
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
    const { position: _, ...replica } = known;
    this.#keepUpstream(source, position === undefined ? replica : { ...replica, position });
  }

  forget(source: string): void {
    this.#latest.delete(source);
    this.#write(this.#upstreams.remove(source));
    // In the order of the writes, so that what is still on its way is found as well.
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

  #keepUpstream(source: string, upstream: KeptUpstream): void {
    const { position: _, ...replica } = upstream;
    // Where something is missing, no place in the feed holds any more: after a restart all is copied again.
    const kept = this.#hasFailed ? { ...replica, isComplete: false } : upstream;
    this.#latest.set(source, kept);
    this.#write(this.#upstreams.put(source, kept));
  }

  /** Records are missing, of whichever upstream: none is complete, and none resumes. */
  #noteDamage(damage: Damage): void {
    Object.assign(this, { damage });
    this.#reject("snapshot-damaged");
    if (damage.leftOut !== 0) this.#reject("snapshot-record", damage.leftOut ?? 1);
    for (const source of this.sources()) this.#noteGap(source);
  }

  #leaveOutUpstream(source: string): void {
    this.#reject("snapshot-record");
    this.#deps.logger.warn("an upstream of the snapshot cannot be read; it is synchronised again", {
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

  /** Without one of its registrations a replica is not what its position says. */
  #noteGap(source: string): void {
    const known = this.#latest.get(source);
    if (known === undefined) return;
    const { position: _, ...replica } = known;
    this.#keepUpstream(source, { ...replica, isComplete: false });
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

/** A reference, or what stands for one that is too long. */
function placeOf(href: string): string {
  return href.length <= MAX_PLACE_LENGTH ? href : `/${createHash("sha256").update(href).digest("base64url")}`;
}
