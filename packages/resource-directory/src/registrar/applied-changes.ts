import { MergeError } from "@tributary/merge-engine";
import type { Environment } from "@tributary/runtime";
import type { StoreChange } from "../store/types.js";
import type { StoredRegistration } from "../stored-registration.js";
import { type DormantCollection, dormantUntilMs } from "./dormant-collection.js";
import type { Draft } from "./draft.js";
import { keptWeight, type OwnMemory, registrantOfBase } from "./own-memory.js";
import type { RegistrationsOnDisk } from "./registrations-on-disk.js";
import { isSameContent, type Registry } from "./registry.js";
import type { ShownRegistrations } from "./shown-registrations.js";
import type { UnshownRegistrations } from "./unshown-registrations.js";

export interface AppliedChangesDeps {
  readonly env: Environment;
  readonly registry: Registry;
  readonly memory: OwnMemory;
  readonly shown: ShownRegistrations;
  readonly unshown: UnshownRegistrations;
  readonly onDisk: RegistrationsOnDisk;
  readonly collection: DormantCollection;
  /** A registration is dormant, and the store does not know of it. */
  readonly onEnded: (id: string) => void;
  /** When a registration was renewed, by the monotonic clock, and its stamp where that does not follow. */
  readonly timesOf: (stored: StoredRegistration) => Times;
}

interface Times {
  readonly renewedAtMs: number;
  readonly stampMs: number | undefined;
}

/**
 * Applies the changes of the store to registry and directory: everything that they hold comes through here. What a request has read
 * already is not read again: see `Draft`.
 */
export class AppliedChanges {
  readonly #deps: AppliedChangesDeps;
  /** Drafts by id; null: the change takes back what could not be shown. */
  readonly #drafts = new Map<string, Draft | null>();
  #position: number | null = null;

  constructor(deps: AppliedChangesDeps) {
    this.#deps = deps;
  }

  /** Position of the change that is being applied; null: none is. */
  get position(): number | null {
    return this.#position;
  }

  expect(id: string, draft: Draft | null): void {
    this.#drafts.set(id, draft);
  }

  expectNoLonger(id: string): void {
    this.#drafts.delete(id);
  }

  apply(change: StoreChange): void {
    this.#position = change.isUnplaced === true ? null : change.position;
    try {
      // What could not be shown is taken back: nothing was applied before.
      if (this.#drafts.get(change.id) === null) this.#deps.registry.place(change.id, change.position);
      else if (change.kind === "put" && change.registration !== undefined)
        this.#put(change.registration, change.position);
      else if (change.kind === "end") this.#end(change);
      else this.#delete(change.id);
    } catch (error) {
      // Neither the store nor the request failed.
      this.#deps.env.logger.error("a change of the registration store could not be applied", { error, id: change.id });
    } finally {
      this.#position = null;
    }
  }

  #put(stored: StoredRegistration, position: number): void {
    const draft = this.#drafts.get(stored.id);
    if (draft != null && isDraftOf(draft, stored)) this.#putOwn(draft, stored, position);
    else this.#putOther(stored, position);
  }

  #putOwn(draft: Draft, stored: StoredRegistration, position: number): void {
    const { env, onDisk, registry, shown, timesOf } = this.#deps;
    const { freshUntilMs, links, registrant } = draft;
    draft.release();
    const isAsSubmitted = draft.stored === stored;
    const { renewedAtMs, stampMs } = isAsSubmitted
      ? { renewedAtMs: draft.renewedAtMs, stampMs: undefined }
      : timesOf(stored);
    let weight = isAsSubmitted ? draft.shown : undefined;
    try {
      const isRenewed = draft.registration === null && shown.renew(stored, renewedAtMs, stampMs);
      if (!isRenewed) {
        if (draft.registration === null) weight = undefined;
        const known = isAsSubmitted ? draft.registration : null;
        const registration = known ?? shown.build(stored, links, renewedAtMs);
        shown.put(stampMs === undefined ? registration : { ...registration, stampMs });
      }
    } catch (error) {
      if (error instanceof MergeError) {
        draft.problem = error;
        return;
      }
      // The directory has changed already; it was a listener that failed.
      env.logger.error("a listener of the directory failed", { error });
    }
    registry.putLive(stored, freshUntilMs, { registrant, shown: weight ?? shown.weight(stored.id), position });
    onDisk.delete(stored.id);
  }

  #putOther(stored: StoredRegistration, position: number): void {
    const { env } = this.#deps;
    const times = this.#deps.timesOf(stored);
    const isEnded = times.renewedAtMs + stored.ltS * 1000 <= env.clock.nowMs();
    if (isEnded) this.#putEnded(stored, times.renewedAtMs, position);
    else if (!this.#renew(stored, times, position) && !this.#show(stored, times, position)) this.#putUnshown(stored);
  }

  /** False when it is not a mere renewal of what is shown. */
  #renew(stored: StoredRegistration, { renewedAtMs, stampMs }: Times, position: number): boolean {
    const { env, registry, shown } = this.#deps;
    const known = registry.byId(stored.id, env.clock.nowMs());
    if (known?.phase.kind !== "live" || !isSameContent(known.stored, stored)) return false;
    if (!shown.renew(stored, renewedAtMs, stampMs)) return false;
    registry.putLive(stored, known.freshUntilMs, { ...known, position });
    return true;
  }

  /** False when there is no memory for it. */
  #show(stored: StoredRegistration, { renewedAtMs, stampMs }: Times, position: number): boolean {
    const { env, memory, onDisk, registry, shown } = this.#deps;
    const known = registry.byId(stored.id, env.clock.nowMs());
    const has = known === undefined ? 0 : known.kept + known.shown;
    // What is kept in text weighs no less in the directory.
    if (memory.room + has < keptWeight(stored) + stored.links.length) return false;
    try {
      const registration = shown.build(stored, null, renewedAtMs);
      shown.put(stampMs === undefined ? registration : { ...registration, stampMs });
    } catch (error) {
      if (error instanceof MergeError) return false;
      throw error;
    }
    const registrant = known?.registrant ?? registrantOfBase(stored.base);
    registry.putLive(stored, 0, { registrant, shown: shown.weight(stored.id), position });
    onDisk.delete(stored.id);
    return true;
  }

  /** Its lifetime ended before the change arrived here. Nobody has reported the end yet. */
  #putEnded(stored: StoredRegistration, renewedAtMs: number, position: number): void {
    const { collection, shown } = this.#deps;
    shown.remove(stored.id);
    const registrant = registrantOfBase(stored.base);
    collection.add(stored, renewedAtMs + stored.ltS * 1000, { registrant, position });
    this.#deps.onEnded(stored.id);
  }

  /** There is no memory for it here. */
  #putUnshown(stored: StoredRegistration): void {
    const { onDisk, registry, shown } = this.#deps;
    registry.remove(stored.id);
    shown.remove(stored.id);
    onDisk.add(stored);
  }

  #end({ id, position, registration }: StoreChange): void {
    const { collection, env, onDisk, registry, shown, unshown, timesOf } = this.#deps;
    const known = registry.byId(id, env.clock.nowMs());
    const stored = registration ?? known?.stored;
    if (shown.has(id)) shown.remove(id);
    else if (onDisk.has(id)) onDisk.delete(id);
    else unshown.removed(id);
    const endedAtMs = stored === undefined ? 0 : timesOf(stored).renewedAtMs + stored.ltS * 1000;
    if (stored === undefined || dormantUntilMs(endedAtMs, stored.ltS) <= env.clock.nowMs()) {
      registry.remove(id);
      return;
    }
    const registrant = known?.registrant ?? registrantOfBase(stored.base);
    collection.add(stored, endedAtMs, { registrant, position, isReported: true });
  }

  #delete(id: string): void {
    const { onDisk, registry, shown, unshown } = this.#deps;
    const isShown = shown.has(id);
    const isOnDisk = onDisk.has(id);
    registry.remove(id);
    onDisk.delete(id);
    shown.remove(id);
    if (!isShown && !isOnDisk) unshown.removed(id);
  }
}

/** Whether a change is what this draft asked for. */
function isDraftOf({ stored }: Draft, change: StoredRegistration): boolean {
  return stored === change || (stored.stampMs === change.stampMs && isSameContent(stored, change));
}
