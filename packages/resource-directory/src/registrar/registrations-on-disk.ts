import type { Environment, Timer } from "@tributary/runtime";
import { BRING_BACK_INTERVAL_MS, BROUGHT_BACK_AT_ONCE, ON_DISK_BYTES } from "../constants.js";
import type { RegistrationStore } from "../store/types.js";
import type { StoredRegistration } from "../stored-registration.js";
import { andThen } from "../turns/keyed-queue.js";
import type { OwnMemory } from "./own-memory.js";
import { keyOf } from "./registry.js";

export interface RegistrationsOnDiskDeps {
  readonly store: RegistrationStore;
  readonly memory: OwnMemory;
  readonly env: Environment;
  /** Shows a kept registration if there is memory for it now; false: it stays on disk. */
  readonly bringBack: (stored: StoredRegistration) => boolean | Promise<boolean>;
  /** There are some, or there are none any more. */
  readonly onChange: () => void;
  readonly onAdded: (stored: StoredRegistration) => void;
  /** It is shown now, or was removed. */
  readonly onDeleted: (id: string) => void;
}

const NOBODY = "";

/**
 * Registrations that are valid and kept in the store, but for which there was no memory when the store was loaded. Their names are
 * held, so that they are found when their endpoints ask for them, and are brought back as memory becomes free.
 */
export class RegistrationsOnDisk {
  readonly #deps: RegistrationsOnDiskDeps;
  /** Their ids by the text of (ep, d). */
  readonly #ids = new Map<string, string>();
  readonly #keys = new Map<string, string>();
  /** Those for whose names there was no memory either: known only to the store, until the next start. */
  #unnamed = 0;
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(deps: RegistrationsOnDiskDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#keys.size + this.#unnamed;
  }

  add(stored: StoredRegistration): void {
    const { memory, onAdded, onChange } = this.#deps;
    if (this.#keys.has(stored.id)) return;
    const isFirst = this.size === 0;
    const key = keyOf(stored);
    const weight = ON_DISK_BYTES + key.length;
    if (weight <= memory.room) {
      memory.take(NOBODY, weight);
      this.#ids.set(key, stored.id);
      this.#keys.set(stored.id, key);
    } else this.#unnamed++;
    onAdded(stored);
    if (isFirst) onChange();
    this.#arm();
  }

  /** It was shown, replaced or removed. */
  delete(id: string): void {
    const key = this.#keys.get(id);
    if (key === undefined) {
      if (this.#unnamed > 0) this.#deps.onDeleted(id);
      return;
    }
    this.#keys.delete(id);
    if (this.#ids.get(key) === id) this.#ids.delete(key);
    this.#deps.memory.give(NOBODY, ON_DISK_BYTES + key.length);
    this.#deps.onDeleted(id);
    if (this.size === 0) this.#deps.onChange();
  }

  /** Ids of those that are known by name. */
  ids(): Iterable<string> {
    return this.#keys.keys();
  }

  has(id: string): boolean {
    return this.#keys.has(id);
  }

  idOf(endpoint: Pick<StoredRegistration, "ep" | "d">): string | undefined {
    return this.#ids.size === 0 ? undefined : this.#ids.get(keyOf(endpoint));
  }

  /** What the store has under an id that is not shown. */
  read(id: string): StoredRegistration | undefined {
    const mayBeThere = this.#keys.has(id) || this.#unnamed > 0;
    return mayBeThere ? this.#deps.store.get(id) : undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    if (this.#isClosed || this.#timer !== null || this.#keys.size === 0) return;
    this.#timer = this.#deps.env.clock.setTimer(BRING_BACK_INTERVAL_MS, () => {
      void andThen(this.#bringSomeBack(), () => {
        this.#timer = null;
        this.#arm();
      });
    });
  }

  /** Some at a time, those that did not fit last, so that a large one does not stand in the way of others. */
  async #bringSomeBack(): Promise<void> {
    for (const id of [...this.#keys.keys()].slice(0, BROUGHT_BACK_AT_ONCE)) {
      if (this.#isClosed || this.#deps.memory.room < ON_DISK_BYTES) return;
      const stored = this.#deps.store.get(id);
      if (stored !== undefined && !(await this.#deps.bringBack(stored))) this.#moveLast(id);
      else this.delete(id);
    }
  }

  #moveLast(id: string): void {
    const key = this.#keys.get(id);
    if (key === undefined) return;
    this.#keys.delete(id);
    this.#keys.set(id, key);
  }
}
