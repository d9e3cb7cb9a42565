import type { FederationClock, Registration } from "@tributary/merge-engine";
import type { Environment } from "@tributary/runtime";
import type { StoredRegistration } from "../stored-registration.js";
import type { OnDiskChange, OnDiskRegistrations } from "../types.js";
import type { RegistrationsOnDisk } from "./registrations-on-disk.js";
import type { Registry } from "./registry.js";
import { storedTimes } from "./restore-registrations.js";
import type { ShownRegistrations } from "./shown-registrations.js";

export interface UnshownRegistrationsDeps {
  readonly env: Environment;
  readonly federation: FederationClock;
  readonly registry: Registry;
  readonly shown: ShownRegistrations;
  readonly onDisk: Pick<RegistrationsOnDisk, "has" | "ids" | "read" | "size">;
}

/** For the feed: the registrations that are kept and not shown, and removals of what lookups had ceased to show before. */
export class UnshownRegistrations implements OnDiskRegistrations {
  readonly #deps: UnshownRegistrationsDeps;
  readonly #listeners = new Set<(change: OnDiskChange) => void>();

  constructor(deps: UnshownRegistrationsDeps) {
    this.#deps = deps;
  }

  has(href: string): boolean {
    const { onDisk, shown } = this.#deps;
    return onDisk.has(shown.idOf(href) ?? "") || this.#stored(href) !== undefined;
  }

  get(href: string): Registration | undefined {
    const { env, federation, shown } = this.#deps;
    const stored = this.#stored(href);
    if (stored === undefined) return undefined;
    const { renewedAtMs, stampMs } = storedTimes({ env, federation }, stored);
    if (renewedAtMs + stored.ltS * 1000 <= env.clock.nowMs()) return undefined;
    const registration = shown.build(stored, null, renewedAtMs);
    return stampMs === undefined ? registration : { ...registration, stampMs };
  }

  *hrefs(): Iterable<string> {
    const { onDisk, shown } = this.#deps;
    for (const id of onDisk.ids()) yield shown.hrefOf(id);
  }

  onChange(listener: (change: OnDiskChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** One is kept and not shown. */
  added(stored: StoredRegistration): void {
    const { env, federation, shown } = this.#deps;
    const { zone } = stored;
    const { stampMs } = storedTimes({ env, federation }, stored);
    const registration = { ...(zone === undefined ? {} : { zone }), ...(stampMs === undefined ? {} : { stampMs }) };
    this.#emit({ href: shown.hrefOf(stored.id), kind: "added", registration });
  }

  /** One was removed; not said of what the directory shows, whose own changes say it. */
  removed(id: string): void {
    const { shown } = this.#deps;
    if (!shown.has(id)) this.#emit({ href: shown.hrefOf(id), kind: "removed", registration: {} });
  }

  #emit(change: OnDiskChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  #stored(href: string): StoredRegistration | undefined {
    const { onDisk, registry, shown } = this.#deps;
    const id = shown.idOf(href);
    return id === undefined || onDisk.size === 0 || registry.has(id) ? undefined : onDisk.read(id);
  }
}
