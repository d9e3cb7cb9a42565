import { EndpointTable } from "@tributary/merge-engine";
import type { StoredRegistration } from "../stored-registration.js";
import { keptWeight, type OwnMemory } from "./own-memory.js";

/**
 * `live`: in the directory. `dormant`: expired, but revivable until `untilMs` (RFC 9176 section 5.3.3, LIF-05); `isReported`: the store
 * knows of the end. `on-disk`: valid, and in the store only, because there is no memory for it; not part of the registry.
 */
export type EntryPhase =
  | { readonly kind: "live" }
  | { readonly kind: "dormant"; readonly untilMs: number; readonly isReported: boolean }
  | { readonly kind: "on-disk" };

/** One registration resource. */
export interface RegistryEntry {
  readonly stored: StoredRegistration;
  readonly phase: EntryPhase;
  /** Simple registrations: until when the fetched document need not be fetched again, monotonic ms. */
  readonly freshUntilMs: number;
  /** Another one whenever the registration says something else, ends or begins again; a renewal keeps it. */
  readonly revision: number;
  /** The address that its memory counts for. */
  readonly registrant: string;
  /** Position in the store of its last change; 0: the store has not given one in this run. */
  readonly position: number;
  /** Bytes of heap that it takes here, and in the directory. */
  readonly kept: number;
  readonly shown: number;
}

/** What an entry counts for. */
export type EntryShare = Pick<RegistryEntry, "registrant" | "shown"> & Partial<Pick<RegistryEntry, "position">>;

/** How an entry is dormant. */
export interface Dormancy {
  readonly untilMs: number;
  readonly registrant: string;
  readonly position?: number;
  readonly isReported?: boolean;
}

const LIVE: EntryPhase = { kind: "live" };

/** Text that is equal exactly for equal (ep, d). Neither can hold a control character. Pure. */
export function keyOf({ ep, d }: Pick<StoredRegistration, "ep" | "d">): string {
  return d === undefined ? ep : `${ep}\n${d}`;
}

/** The registration resources of an RD by id and by (ep, d): the live ones, and the expired ones that may come back. */
export class Registry {
  readonly #memory: OwnMemory;
  readonly #byId = new Map<string, RegistryEntry>();
  readonly #byEndpoint = new EndpointTable<RegistryEntry>(({ stored }) => stored.d);
  /** Ids of dormant entries, the one that expired first at the front. */
  readonly #dormant = new Set<string>();
  #revisions = 0;
  #dormantBytes = 0;

  constructor(memory: OwnMemory) {
    this.#memory = memory;
  }

  get live(): number {
    return this.#byId.size - this.#dormant.size;
  }

  get dormant(): number {
    return this.#dormant.size;
  }

  /** What giving up all dormant entries would free. */
  get dormantBytes(): number {
    return this.#dormantBytes;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /** The entry of an id, unless it is gone at `nowMs`. */
  byId(id: string, nowMs: number): RegistryEntry | undefined {
    const entry = this.#byId.get(id);
    return entry !== undefined && !isOverdue(entry, nowMs) ? entry : undefined;
  }

  /** The entry of an (ep, d), unless it is gone at `nowMs`. */
  byEndpoint({ ep, d }: Pick<StoredRegistration, "ep" | "d">, nowMs: number): RegistryEntry | undefined {
    const entry = this.#byEndpoint.get(ep, d);
    return entry !== undefined && !isOverdue(entry, nowMs) ? entry : undefined;
  }

  /** `shown`: what it counts for in the directory. */
  putLive(stored: StoredRegistration, freshUntilMs: number, { registrant, shown, position = 0 }: EntryShare): void {
    this.#dormant.delete(stored.id);
    const before = this.#byId.get(stored.id);
    const isRenewed = before?.phase.kind === "live" && isSameContent(before.stored, stored);
    const revision = isRenewed ? before.revision : ++this.#revisions;
    this.#put({ stored, phase: LIVE, freshUntilMs, revision, registrant, position, shown, kept: keptWeight(stored) });
  }

  putDormant(stored: StoredRegistration, dormancy: Dormancy): void {
    const { untilMs, registrant, position = 0, isReported = false } = dormancy;
    const phase = { kind: "dormant", untilMs, isReported } as const;
    const revision = ++this.#revisions;
    this.#put({ stored, phase, freshUntilMs: 0, revision, registrant, position, shown: 0, kept: keptWeight(stored) });
    this.#dormant.add(stored.id);
  }

  /** The store has another position for what is registered under an id. */
  place(id: string, position: number): void {
    const entry = this.#byId.get(id);
    if (entry !== undefined) this.#byId.set(id, { ...entry, position });
  }

  #put(entry: RegistryEntry): void {
    const before = this.#byId.get(entry.stored.id);
    this.#memory.take(entry.registrant, entry.kept, entry.shown);
    if (before !== undefined) this.#giveBack(before);
    if (entry.phase.kind === "dormant") this.#dormantBytes += entry.kept;
    this.#byId.set(entry.stored.id, entry);
    this.#byEndpoint.set(entry.stored.ep, entry);
  }

  remove(id: string): void {
    const entry = this.#byId.get(id);
    if (entry === undefined) return;
    this.#byId.delete(id);
    this.#dormant.delete(id);
    this.#giveBack(entry);
    const { ep, d } = entry.stored;
    if (this.#byEndpoint.get(ep, d)?.stored.id === id) this.#byEndpoint.delete(ep, d);
  }

  #giveBack({ registrant, kept, shown, phase }: RegistryEntry): void {
    this.#memory.give(registrant, kept, shown);
    if (phase.kind === "dormant") this.#dormantBytes -= kept;
  }

  /** The dormant entry that expired first, apart from `exceptId`. */
  oldestDormant(exceptId?: string): StoredRegistration | undefined {
    for (const id of this.#dormant) if (id !== exceptId) return this.#byId.get(id)?.stored;
    return undefined;
  }

  /** Dormant entries whose time is over. */
  *overdue(nowMs: number): Generator<StoredRegistration> {
    for (const id of this.#dormant) {
      const entry = this.#byId.get(id);
      if (entry !== undefined && isOverdue(entry, nowMs)) yield entry.stored;
    }
  }

  /** Whether `stored` is what a dormant entry still holds: it was not renewed or replaced meanwhile. */
  isDormant(stored: StoredRegistration): boolean {
    return this.#dormant.has(stored.id) && this.#byId.get(stored.id)?.stored === stored;
  }
}

function isOverdue({ phase }: RegistryEntry, nowMs: number): boolean {
  return phase.kind === "dormant" && nowMs >= phase.untilMs;
}

/** Whether a registration says what it said before, so that only its age changes. */
export function isSameContent(before: StoredRegistration, after: StoredRegistration): boolean {
  return (
    before.base === after.base &&
    before.ltS === after.ltS &&
    before.links === after.links &&
    before.zone === after.zone &&
    before.isProxied === after.isProxied &&
    before.attributes.length === after.attributes.length &&
    before.attributes.every(
      ([name, value], at) => after.attributes[at]?.[0] === name && after.attributes[at]?.[1] === value,
    )
  );
}
