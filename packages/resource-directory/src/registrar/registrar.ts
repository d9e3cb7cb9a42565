import { type Link, parseLinkFormat } from "@tributary/link-model";
import { pathReference } from "@tributary/lookup-interface";
import {
  type Directory,
  MergeError,
  type Registration,
  recordWeight,
  type SourceChange,
} from "@tributary/merge-engine";
import { type Environment, type Turns, turnsOf } from "@tributary/runtime";
import { LONG_LINKS_BYTES, MAX_GIVEN_UP } from "../constants.js";
import { accepted, type Refusal, type Result, refused } from "../refusal.js";
import { inItsTurn } from "../turns/in-its-turn.js";
import { andThen, KeyedQueue } from "../turns/keyed-queue.js";
import type {
  OnDiskChange,
  OnDiskRegistrations,
  RegistrationLimits,
  RegistrationStore,
  StoredRegistration,
} from "../types.js";
import { DormantCollection } from "./dormant-collection.js";
import { createLocationIds } from "./location-ids.js";
import { keptWeight, leastWeight, mostWeight, OwnMemory } from "./own-memory.js";
import { resolveDocument } from "./registration-document.js";
import { RegistrationsOnDisk } from "./registrations-on-disk.js";
import { type EntryShare, isSameContent, keyOf, Registry, type RegistryEntry } from "./registry.js";
import { bringBack, keptTimes, restoreRegistrations } from "./restore-registrations.js";
import { StoreAccess } from "./store-access.js";

export interface RegistrarDeps {
  readonly directory: Directory;
  readonly store: RegistrationStore;
  readonly env: Environment;
}

export interface RegistrarOptions {
  readonly source: string;
  readonly resourcePath: readonly string[];
  readonly limits: RegistrationLimits;
  /** Lookups begin or cease to miss registrations that are kept on disk only. */
  readonly onCompleteness?: (() => void) | undefined;
}

/** What an endpoint asks to be registered with. */
export type RegistrationContent = Omit<StoredRegistration, "id" | "renewedAtWallMs" | "stampMs">;

/** Who asks, and how long a document that was fetched for it stays fresh (monotonic ms). */
export interface SaveContext {
  /** See `registrantOf`. */
  readonly registrant: string;
  readonly freshUntilMs?: number;
}

type Pending<T> = Result<T> | Promise<Result<T>>;

/** A registration about to be kept and shown. */
interface Draft {
  readonly stored: StoredRegistration;
  /** How the directory will show it; null: as it does, only younger. */
  readonly registration: Registration | null;
  readonly links: readonly Link[] | null;
  readonly renewedAtMs: number;
  readonly freshUntilMs: number;
  readonly registrant: string;
}

/**
 * Keeps store, registry and directory in step. The store comes first: what it does not take is neither shown nor
 * acknowledged. Operations on one (ep, d) go through `run`, in order.
 */
export class Registrar {
  readonly #deps: RegistrarDeps;
  readonly #options: RegistrarOptions;
  readonly #memory: OwnMemory;
  readonly #registry: Registry;
  readonly #queue = new KeyedQueue();
  readonly #turns: Turns;
  readonly #ids: ReturnType<typeof createLocationIds>;
  readonly #hrefPrefix: string;
  readonly #storeAccess: StoreAccess;
  readonly #collection: DormantCollection;
  readonly #onDisk: RegistrationsOnDisk;
  readonly #onDiskListeners = new Set<(change: OnDiskChange) => void>();
  readonly #stopListening: () => void;
  /** Registrations on their way into the store, for the limit. */
  #arriving = 0;
  #closing: Promise<void> | null = null;

  constructor(deps: RegistrarDeps, options: RegistrarOptions) {
    const { directory, env, store } = deps;
    const { source } = options;
    this.#deps = deps;
    this.#options = options;
    this.#memory = new OwnMemory(directory.limits.memory, source);
    this.#registry = new Registry(this.#memory);
    this.#turns = turnsOf(env.clock);
    this.#ids = createLocationIds(env.random);
    this.#hrefPrefix = `${pathReference(options.resourcePath)}/`;
    this.#storeAccess = new StoreAccess(env.logger);
    this.#collection = new DormantCollection({
      registry: this.#registry,
      queue: this.#queue,
      store,
      storeAccess: this.#storeAccess,
      env,
    });
    this.#onDisk = new RegistrationsOnDisk({
      store,
      memory: this.#memory,
      env,
      bringBack: (stored) => this.#queue.run(keyOf(stored), () => bringBack(this.#restoring(), stored)),
      onChange: options.onCompleteness ?? (() => {}),
      onAdded: (stored) => this.#tellOnDisk(stored),
      onDeleted: (id) => this.#tellNotOnDisk(id),
    });
    directory.openSource(source, { authority: null });
    directory.setConnected(source, true, env.clock.nowMs());
    const stops = [
      directory.on("source", (change) => {
        if (change.source === source && change.kind === "removed" && change.cause === "expired")
          this.#becomeDormant(change);
      }),
      directory.on("rebased", () => directory.setLead(source, null, env.clock.nowMs())),
    ];
    this.#stopListening = () => {
      for (const stop of stops) stop();
    };
  }

  get isClosed(): boolean {
    return this.#closing !== null;
  }

  /** Registrations that are kept on disk and not shown, for want of memory. */
  get onDisk(): number {
    return this.#onDisk.size;
  }

  readonly onDiskRegistrations: OnDiskRegistrations = {
    has: (href) => this.#onDisk.has(href.slice(this.#hrefPrefix.length)) || this.#storedOnDisk(href) !== undefined,
    get: (href) => this.#registrationOnDisk(href),
    hrefs: () => [...this.#onDisk.ids()].map((id) => this.#hrefPrefix + id),
    onChange: (listener) => {
      this.#onDiskListeners.add(listener);
      return () => this.#onDiskListeners.delete(listener);
    },
  };

  tableSizes() {
    const { live, dormant } = this.#registry;
    return {
      live,
      dormant,
      queued: this.#queue.size,
      "on-disk": this.#onDisk.size,
      registrants: this.#memory.registrants,
    };
  }

  /** Take over what the store kept; once, before the first request. */
  async load(): Promise<void> {
    this.#deps.directory.clock.follow(this.#deps.env.clock);
    await restoreRegistrations(this.#restoring());
    this.#collection.arm();
  }

  #restoring() {
    const { directory, store, env } = this.#deps;
    return {
      ...{
        store,
        env,
        federation: directory.clock,
        registry: this.#registry,
        memory: this.#memory,
        onDisk: this.#onDisk,
      },
      show: (stored: StoredRegistration, renewedAtMs: number, stampMs?: number): EntryShare["shown"] =>
        this.#write(stored, renewedAtMs, stampMs),
      forget: (id: string): Pending<undefined> => this.remove(id),
    };
  }

  /** Finish what is under way, then close the store. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#stopListening();
    this.#collection.close();
    this.#onDisk.close();
    await this.#queue.idle();
    await this.#deps.store.close();
  }

  run<T>(key: string, task: () => T | Promise<T>): T | Promise<T> {
    return this.#queue.run(key, task);
  }

  /** The same for a task that reads `size` bytes of links for `registrant`: many of them at once do not hold up everybody else. */
  runReading<T>(key: string, registrant: string, size: number, task: () => T | Promise<T>): T | Promise<T> {
    return this.#queue.run(key, () => this.#inItsTurn(registrant, size, task));
  }

  /** The entry of an id, also of a registration that is kept on disk only. */
  byId(id: string): RegistryEntry | undefined {
    const known = this.#registry.byId(id, this.#deps.env.clock.nowMs());
    if (known !== undefined || this.#onDisk.size === 0 || this.#registry.has(id)) return known;
    const stored = this.#onDisk.read(id);
    if (stored === undefined) return undefined;
    return { stored, phase: { kind: "on-disk" }, freshUntilMs: 0, revision: 0, registrant: "", kept: 0, shown: 0 };
  }

  byEndpoint(endpoint: Pick<RegistrationContent, "ep" | "d">): RegistryEntry | undefined {
    return this.#registry.byEndpoint(endpoint, this.#deps.env.clock.nowMs());
  }

  /** A function that says whether a registration still is what it is now. Holds on to none of its content. */
  whileUnchanged({ id }: Pick<StoredRegistration, "id">): () => boolean {
    const revision = this.byId(id)?.revision;
    return () => {
      const entry = this.byId(id);
      return entry?.phase.kind === "live" && entry.revision === revision;
    };
  }

  locationPath(id: string): readonly string[] {
    return [...this.#options.resourcePath, id];
  }

  /** Why a registration with this payload cannot be kept, so that it need not be read; undefined: it may be. */
  refusalOf(
    endpoint: Pick<RegistrationContent, "ep" | "d">,
    payload: Uint8Array,
    registrant: string,
  ): Refusal | undefined {
    // While there is plenty it is not worth looking.
    if (this.#memory.refusal(registrant, mostWeight(payload)) === undefined) return undefined;
    const known = this.byEndpoint(endpoint);
    const has = known === undefined ? 0 : known.kept + known.shown;
    const id = known?.stored.id ?? this.#onDisk.idOf(endpoint);
    const asker = this.#askerOf(registrant, id);
    // Beyond it nothing helps, whatever gives way: a refusal costs as little as can be.
    const most = this.#memory.most(asker, this.#registry.dormantBytes);
    const growth = leastWeight(payload, most + has) - has;
    const message = growth > most ? this.#memory.refusal(asker, growth) : this.#lackOfMemory(registrant, growth, id);
    return message === undefined ? undefined : { cause: "memory", message };
  }

  /** Register anew: the same (ep, d) keeps its location, everything else is replaced (RFC 9176 section 5). */
  register(content: RegistrationContent, links: readonly Link[], context?: SaveContext): Pending<StoredRegistration> {
    const known = this.byEndpoint(content)?.stored.id ?? this.#onDisk.idOf(content);
    const id = known ?? this.#ids.next((taken) => this.#registry.has(taken));
    return this.save({ ...content, id }, links, context);
  }

  /** Keep and show a registration, renewed now. `links` are those of its text, unless the text is the one already kept. */
  save(
    content: RegistrationContent & { readonly id: string },
    links: readonly Link[] | null,
    { registrant, freshUntilMs = 0 }: SaveContext = { registrant: "" },
  ): Pending<StoredRegistration> {
    const { directory, env, store } = this.#deps;
    const { clock: federation } = directory;
    federation.follow(env.clock);
    const nowMs = env.clock.nowMs();
    const stored: StoredRegistration = {
      ...content,
      renewedAtWallMs: env.clock.wallMs(),
      stampMs: federation.stampOf(nowMs),
    };
    const known = this.#registry.byId(stored.id, nowMs);
    const isAdded = known?.phase.kind !== "live";
    const isRenewal = !isAdded && isSameContent(known.stored, stored);
    const registration = isRenewal ? null : this.#registration(stored, links, nowMs);
    const draft: Draft = { stored, registration, links, renewedAtMs: nowMs, freshUntilMs, registrant };
    const growth =
      registration === null
        ? 0
        : keptWeight(stored) + recordWeight(registration) - (known === undefined ? 0 : known.kept + known.shown);
    const lack = this.#lackOfRoom(isAdded) ?? this.#lackOfMemory(registrant, growth, stored.id);
    if (lack !== undefined) return typeof lack === "string" ? refused("memory", lack) : lack;
    const reserved = Math.max(0, growth);
    if (isAdded) this.#arriving++;
    this.#memory.take(registrant, reserved);
    return andThen(
      this.#storeAccess.attempt(() => store.put(stored)),
      (kept) =>
        this.#inItsTurn(registrant, stored.links.length, () => {
          if (isAdded) this.#arriving--;
          this.#memory.give(registrant, reserved);
          return kept.ok ? this.#show(draft) : kept;
        }),
    );
  }

  /** Does what takes long, as reading or showing `size` bytes of links, when there is time for it; else at once. */
  #inItsTurn<T>(registrant: string, size: number, work: () => T | Promise<T>): T | Promise<T> {
    return size < LONG_LINKS_BYTES ? work() : inItsTurn(this.#turns, registrant, work);
  }

  #lackOfRoom(isAdded: boolean): ReturnType<typeof refused> | undefined {
    if (!isAdded) return undefined;
    const { directory } = this.#deps;
    const { limits, source } = this.#options;
    if (this.#registry.live + this.#arriving >= limits.registrations)
      return refused("full", `this directory holds ${limits.registrations} registrations`);
    if (directory.limits.registrations.fits(source, 1 + this.#arriving)) return undefined;
    return refused("full", "this directory has no room for more registrations");
  }

  /** null: what is registered was acknowledged before, and is on disk. */
  #askerOf(registrant: string, id: string | undefined): string | null {
    return id !== undefined && this.#onDisk.has(id) ? null : registrant;
  }

  /** What has ended gives way to what is registered now, the oldest first. */
  #lackOfMemory(registrant: string, growth: number, id: string | undefined): string | undefined {
    const asker = this.#askerOf(registrant, id);
    let lack = this.#memory.refusal(asker, growth);
    if (lack === undefined || growth > this.#memory.room + this.#registry.dormantBytes) return lack;
    for (let count = 0; count < MAX_GIVEN_UP && this.#collection.giveUpOldest(id); count++) {
      lack = this.#memory.refusal(asker, growth);
      if (lack === undefined) break;
    }
    return lack;
  }

  remove(id: string): Pending<undefined> {
    const { directory, env, store } = this.#deps;
    return andThen(
      this.#storeAccess.attempt(() => store.delete(id)),
      (deleted) => {
        if (!deleted.ok) return deleted;
        this.#registry.remove(id);
        this.#onDisk.delete(id);
        directory.remove(this.#options.source, this.#hrefPrefix + id, env.clock.nowMs());
        return deleted;
      },
    );
  }

  #show(draft: Draft): Pending<StoredRegistration> {
    const { stored, freshUntilMs, registrant } = draft;
    try {
      this.#put(draft);
    } catch (error) {
      if (error instanceof MergeError) return this.#takeBack(stored, error);
      // The directory has changed already; it was a listener that failed.
      this.#deps.env.logger.error("a listener of the directory failed", { error });
    }
    this.#registry.putLive(stored, freshUntilMs, { registrant, shown: this.#shownWeight(stored) });
    this.#onDisk.delete(stored.id);
    return accepted(stored);
  }

  #shownWeight({ id }: StoredRegistration): number {
    return this.#deps.directory.weight(this.#options.source, this.#hrefPrefix + id);
  }

  /** The directory, which other sources fill as well, has no room: the store must not know more than it. */
  #takeBack(next: StoredRegistration, error: MergeError): Pending<StoredRegistration> {
    const { store } = this.#deps;
    const previous = this.byId(next.id)?.stored;
    return andThen(
      this.#storeAccess.attempt(() => (previous === undefined ? store.delete(next.id) : store.put(previous))),
      () => refused(error.code === "MEMORY_FULL" ? "memory" : "full", error.message),
    );
  }

  #put({ stored, registration, links, renewedAtMs }: Draft): void {
    const { directory, env } = this.#deps;
    const nowMs = env.clock.nowMs();
    const times = { renewedAtMs, expiresAtMs: renewedAtMs + stored.ltS * 1000 };
    if (registration === null && directory.renew(this.#options.source, this.#hrefPrefix + stored.id, times, nowMs))
      return;
    directory.put(this.#options.source, registration ?? this.#registration(stored, links, renewedAtMs), nowMs);
  }

  /**
   * Shows a registration that the store kept; returns what it counts for. `stampMs`: what was told of the time of the renewal,
   * where it does not follow from `renewedAtMs`.
   */
  #write(stored: StoredRegistration, renewedAtMs: number, stampMs?: number): number {
    const registration = this.#registration(stored, null, renewedAtMs);
    this.#deps.directory.put(
      this.#options.source,
      stampMs === undefined ? registration : { ...registration, stampMs },
      this.#deps.env.clock.nowMs(),
    );
    return this.#shownWeight(stored);
  }

  /** How lookups show a registration. `links` are those of its text; null: of the text that is kept. */
  #registration(stored: StoredRegistration, links: readonly Link[] | null, renewedAtMs: number): Registration {
    const { directory, env } = this.#deps;
    const { source } = this.#options;
    const href = this.#hrefPrefix + stored.id;
    const known = this.#registry.byId(stored.id, env.clock.nowMs());
    const isSameDocument =
      known?.phase.kind === "live" && known.stored.base === stored.base && known.stored.links === stored.links;
    const shownLinks = isSameDocument ? directory.get(source, href)?.links : undefined;
    return {
      href,
      ep: stored.ep,
      ...(stored.d === undefined ? {} : { d: stored.d }),
      base: stored.base,
      attributes: stored.attributes,
      links: shownLinks ?? resolveDocument(stored.base, links ?? linksOf(stored)),
      ltMs: stored.ltS * 1000,
      renewedAtMs,
      expiresAtMs: renewedAtMs + stored.ltS * 1000,
      expiry: "exact",
      ...(stored.zone === undefined ? {} : { zone: stored.zone }),
    };
  }

  #tellOnDisk(stored: StoredRegistration): void {
    const { zone } = stored;
    const { stampMs } = keptTimes({ env: this.#deps.env, federation: this.#deps.directory.clock }, stored);
    const registration = { ...(zone === undefined ? {} : { zone }), ...(stampMs === undefined ? {} : { stampMs }) };
    for (const listener of this.#onDiskListeners)
      listener({ href: this.#hrefPrefix + stored.id, kind: "added", registration });
  }

  /** The directory tells of those that it shows itself. */
  #tellNotOnDisk(id: string): void {
    const href = this.#hrefPrefix + id;
    if (this.#deps.directory.has(this.#options.source, href)) return;
    for (const listener of this.#onDiskListeners) listener({ href, kind: "removed", registration: {} });
  }

  #storedOnDisk(href: string): StoredRegistration | undefined {
    const id = href.slice(this.#hrefPrefix.length);
    if (this.#onDisk.size === 0 || !href.startsWith(this.#hrefPrefix) || this.#registry.has(id)) return undefined;
    return this.#onDisk.read(id);
  }

  #registrationOnDisk(href: string): Registration | undefined {
    const stored = this.#storedOnDisk(href);
    if (stored === undefined) return undefined;
    const { env, directory } = this.#deps;
    const { renewedAtMs, stampMs } = keptTimes({ env, federation: directory.clock }, stored);
    if (renewedAtMs + stored.ltS * 1000 <= env.clock.nowMs()) return undefined;
    const registration = this.#registration(stored, null, renewedAtMs);
    return stampMs === undefined ? registration : { ...registration, stampMs };
  }

  #becomeDormant({ href, registration }: SourceChange): void {
    const id = href.slice(this.#hrefPrefix.length);
    const entry = this.#registry.byId(id, this.#deps.env.clock.nowMs());
    if (entry?.phase.kind === "live") this.#collection.add(entry, registration.expiresAtMs);
  }
}

function linksOf(stored: StoredRegistration): readonly Link[] {
  const parsed = parseLinkFormat(stored.links);
  return parsed.ok ? parsed.links : [];
}
