import { createHash } from "node:crypto";
import type { FeedPosition } from "@tributary/replication";
import type { KeptRegistration, KeptReplica, KeptTimes, ReplicaStore } from "@tributary/upstream-sync";
import type { Database } from "lmdb";
import { type OpenStateDeps, openState } from "./open-state.js";
import { packReplicated, readReplicated, readTimes } from "./replica-format.js";

export interface ReplicaSnapshot extends ReplicaStore {
  /** What could not be taken over, by cause. Monotonic. */
  readonly rejected: ReadonlyMap<string, number>;
}

/** Format of the records in this file. */
const FORMAT = 1;
type Key = [source: string, place: string];
/** Longer references would not fit into a key. */
const MAX_PLACE_LENGTH = 400;

/** An upstream as it is kept. */
interface KeptUpstream extends KeptReplica {
  readonly position?: FeedPosition;
}

/** Open the replicas that an LP keeps. @throws {StateError} */
export async function openReplicaSnapshot(
  deps: OpenStateDeps,
  options: { readonly path: string },
): Promise<ReplicaSnapshot> {
  const state = await openState(deps, { path: options.path, format: FORMAT });
  return new LmdbReplicaSnapshot(deps, options.path, state);
}

class LmdbReplicaSnapshot implements ReplicaSnapshot {
  readonly rejected = new Map<string, number>();
  readonly #deps: OpenStateDeps;
  readonly #path: string;
  readonly #state: Awaited<ReturnType<typeof openState>>;
  readonly #upstreams: Database<KeptUpstream, string>;
  readonly #contents: Database<unknown, Key>;
  /** Apart from the contents, so that a renewal writes little. */
  readonly #times: Database<unknown, Key>;
  /** Upstreams as they will be kept when all writes are at rest. */
  readonly #latest = new Map<string, KeptUpstream>();
  #hasFailed = false;

  constructor(deps: OpenStateDeps, path: string, state: Awaited<ReturnType<typeof openState>>) {
    this.#deps = deps;
    this.#path = path;
    this.#state = state;
    const { environment } = state;
    this.#upstreams = environment.openDB({ name: "upstreams", encoding: "json" });
    this.#contents = environment.openDB({ name: "replicas", encoding: "msgpack" });
    this.#times = environment.openDB({ name: "times", encoding: "msgpack" });
    for (const { key, value } of this.#upstreams.getRange()) this.#latest.set(key, value);
    if (state.setAside !== undefined) this.#reject("snapshot-damaged");
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
    for (const { key, value } of this.#contents.getRange(rangeOf(source))) {
      const times = readTimes(this.#times.get(key));
      const registration = readReplicated(value);
      if (registration !== undefined && times !== undefined) yield { registration, ...times };
      else this.#leaveOut(source, key[1]);
    }
  }

  position(source: string): FeedPosition | undefined {
    return this.#latest.get(source)?.position;
  }

  open(source: string, replica: KeptReplica): void {
    const position = this.position(source);
    this.#keepUpstream(source, { ...replica, ...(position === undefined ? {} : { position }) });
  }

  put(source: string, { registration, renewedAtWallMs, expiresAtWallMs }: KeptRegistration): void {
    const key: Key = [source, placeOf(registration.href)];
    this.#write(this.#contents.put(key, packReplicated(registration)));
    this.#write(this.#times.put(key, [renewedAtWallMs, expiresAtWallMs]));
  }

  renew(source: string, href: string, { renewedAtWallMs, expiresAtWallMs }: KeptTimes): void {
    this.#write(this.#times.put([source, placeOf(href)], [renewedAtWallMs, expiresAtWallMs]));
  }

  remove(source: string, href: string): void {
    this.#write(this.#contents.remove([source, placeOf(href)]));
    this.#write(this.#times.remove([source, placeOf(href)]));
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
      for (const database of [this.#contents, this.#times]) {
        for (const key of [...database.getKeys(rangeOf(source))]) database.removeSync(key);
      }
      return true;
    });
    this.#write(removed);
  }

  close(): Promise<void> {
    return this.#state.close();
  }

  #keepUpstream(source: string, upstream: KeptUpstream): void {
    const { position: _, ...replica } = upstream;
    // Where something is missing, no place in the feed holds any more: after a restart all is copied anew.
    const kept = this.#hasFailed ? { ...replica, isComplete: false } : upstream;
    this.#latest.set(source, kept);
    this.#write(this.#upstreams.put(source, kept));
  }

  /** Without one of its registrations a replica is not what its position says. */
  #leaveOut(source: string, href: string): void {
    this.#reject("snapshot-record");
    this.#deps.logger.warn("a registration of the snapshot cannot be read and is left out", {
      path: this.#path,
      upstream: source,
      href,
    });
    this.remove(source, href);
    this.setPosition(source, undefined);
  }

  #reject(cause: string): void {
    this.rejected.set(cause, (this.rejected.get(cause) ?? 0) + 1);
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

/** A reference, or what stands for one that is too long. */
function placeOf(href: string): string {
  return href.length <= MAX_PLACE_LENGTH ? href : `/${createHash("sha256").update(href).digest("base64url")}`;
}

function rangeOf(source: string): { start: Key; end: Key } {
  // A path-absolute reference starts with a slash.
  return { start: [source, "/"], end: [source, "0"] };
}
