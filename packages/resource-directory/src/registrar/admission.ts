import type { Directory } from "@tributary/merge-engine";
import { MAX_GIVEN_UP } from "../constants.js";
import { type Refusal, refused } from "../refusal.js";
import type { StoredRegistration } from "../stored-registration.js";
import type { RegistrationLimits } from "../types.js";
import type { DormantCollection } from "./dormant-collection.js";
import { leastWeight, mostWeight, type OwnMemory } from "./own-memory.js";
import type { RegistrationsOnDisk } from "./registrations-on-disk.js";
import type { Registry, RegistryEntry } from "./registry.js";

export interface AdmissionDeps {
  readonly directory: Directory;
  readonly registry: Registry;
  readonly memory: OwnMemory;
  readonly onDisk: RegistrationsOnDisk;
  readonly collection: DormantCollection;
  readonly source: string;
  readonly limits: RegistrationLimits;
}

type Refused = ReturnType<typeof refused>;

/** Decides whether there is room for a registration, and makes room by giving up those that have ended. */
export class Admission {
  readonly #deps: AdmissionDeps;
  /** New registrations on their way into the store. */
  #arriving = 0;

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
  }

  /** Why a registration with this payload cannot be kept, so that it need not be read; undefined: it may be. */
  refusalOf(
    endpoint: Pick<StoredRegistration, "ep" | "d">,
    payload: Uint8Array,
    registrant: string,
    known: RegistryEntry | undefined,
  ): Refusal | undefined {
    const { memory, onDisk, registry } = this.#deps;
    // While there is plenty it is not worth looking.
    if (memory.refusal(registrant, mostWeight(payload)) === undefined) return undefined;
    const has = known === undefined ? 0 : known.kept + known.shown;
    const id = known?.stored.id ?? onDisk.idOf(endpoint);
    const asker = this.#askerOf(registrant, id);
    // Beyond it nothing helps, whatever gives way: a refusal costs as little as can be.
    const most = memory.most(asker, registry.dormantBytes);
    const growth = leastWeight(payload, most + has) - has;
    const message = growth > most ? memory.refusal(asker, growth) : this.#lackOfMemory(registrant, growth, id);
    return message === undefined ? undefined : { cause: "memory", message };
  }

  /**
   * Reserves the room that a registration takes, `growth` bytes more than before, until the returned function is called; or refuses
   * it. `isAdded`: it is not among the live ones yet.
   */
  reserve(id: string, registrant: string, growth: number, isAdded: boolean): Refused | (() => void) {
    const lack = (isAdded ? this.#lackOfPlaces() : undefined) ?? this.#lackOfMemory(registrant, growth, id);
    if (lack !== undefined) return typeof lack === "string" ? refused("memory", lack) : lack;
    const { memory } = this.#deps;
    const reserved = Math.max(0, growth);
    if (isAdded) this.#arriving++;
    memory.take(registrant, reserved);
    let isReserved = true;
    return () => {
      if (!isReserved) return;
      isReserved = false;
      if (isAdded) this.#arriving--;
      memory.give(registrant, reserved);
    };
  }

  #lackOfPlaces(): Refused | undefined {
    const { directory, limits, registry, source } = this.#deps;
    if (registry.live + this.#arriving >= limits.registrations)
      return refused("full", `this directory holds ${limits.registrations} registrations`);
    if (directory.limits.registrations.fits(source, 1 + this.#arriving)) return undefined;
    return refused("full", "this directory has no room for more registrations");
  }

  /** null: what is registered was acknowledged before, and is on disk. */
  #askerOf(registrant: string, id: string | undefined): string | null {
    return id !== undefined && this.#deps.onDisk.has(id) ? null : registrant;
  }

  /** What has ended gives way to what is registered now, the oldest first. */
  #lackOfMemory(registrant: string, growth: number, id: string | undefined): string | undefined {
    const { collection, memory, registry } = this.#deps;
    const asker = this.#askerOf(registrant, id);
    let lack = memory.refusal(asker, growth);
    if (lack === undefined || growth > memory.room + registry.dormantBytes) return lack;
    for (let count = 0; count < MAX_GIVEN_UP && collection.giveUpOldest(id); count++) {
      lack = memory.refusal(asker, growth);
      if (lack === undefined) break;
    }
    return lack;
  }
}
