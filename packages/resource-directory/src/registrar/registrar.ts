import type { Link } from "@tributary/link-model";
import { pathReference } from "@tributary/lookup-interface";
import { type Directory, recordWeight, type SourceChange } from "@tributary/merge-engine";
import { type Environment, type Turns, turnsOf } from "@tributary/runtime";
import { LONG_LINKS_BYTES, MAX_SUBMISSIONS } from "../constants.js";
import { accepted, type Refusal, type Result, refused } from "../refusal.js";
import type { RegistrationStore, StoreOperation } from "../store/types.js";
import type { StoredRegistration } from "../stored-registration.js";
import { inItsTurn } from "../turns/in-its-turn.js";
import { andThen, KeyedQueue } from "../turns/keyed-queue.js";
import type { FeedPositions, RegistrationLimits } from "../types.js";
import { Admission } from "./admission.js";
import { AppliedChanges } from "./applied-changes.js";
import { DormantCollection } from "./dormant-collection.js";
import type { Draft } from "./draft.js";
import { LifetimeEnds } from "./lifetime-ends.js";
import { createLocationIds } from "./location-ids.js";
import { keptWeight, OwnMemory } from "./own-memory.js";
import { RegistrationsOnDisk } from "./registrations-on-disk.js";
import { isSameContent, keyOf, Registry, type RegistryEntry } from "./registry.js";
import { bringBack, restoreRegistrations, storedTimes } from "./restore-registrations.js";
import { ShownRegistrations } from "./shown-registrations.js";
import { StoreAccess } from "./store-access.js";
import { UnshownRegistrations } from "./unshown-registrations.js";

export interface RegistrarDeps {
  readonly directory: Directory;
  readonly store: RegistrationStore;
  readonly env: Environment;
}

export interface RegistrarOptions {
  readonly source: string;
  readonly resourcePath: readonly string[];
  readonly limits: RegistrationLimits;
  /** Lookups begin or cease to miss registrations. */
  readonly onCompleteness?: (() => void) | undefined;
  /** Called for each proxied registration that is taken over from the store. */
  readonly onProxied?: ((stored: StoredRegistration) => void) | undefined;
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

/** Another instance changed the registration first; what to do is decided again. */
const CONFLICT = Symbol("conflict");
type Attempt<T> = Result<T> | typeof CONFLICT;

/**
 * The registrations of an RD. Every write is submitted to the store first: what it does not take is neither shown nor acknowledged.
 * Registry and directory follow the changes of the store. Operations on one (ep, d) go through `run`, in order.
 */
export class Registrar {
  readonly #deps: RegistrarDeps;
  readonly #options: RegistrarOptions;
  readonly #memory: OwnMemory;
  readonly #registry: Registry;
  readonly #queue = new KeyedQueue();
  readonly #turns: Turns;
  readonly #ids: ReturnType<typeof createLocationIds>;
  readonly #storeAccess: StoreAccess;
  readonly #collection: DormantCollection;
  readonly #onDisk: RegistrationsOnDisk;
  readonly #shown: ShownRegistrations;
  readonly #ends: LifetimeEnds;
  readonly #admission: Admission;
  readonly #changes: AppliedChanges;
  readonly #stopListening: () => void;
  #closing: Promise<void> | null = null;
  /** The registrations that are kept and not shown, for the feed. */
  readonly unshown: UnshownRegistrations;

  constructor(deps: RegistrarDeps, options: RegistrarOptions) {
    const { directory, env, store } = deps;
    const { source, limits, onCompleteness = () => {} } = options;
    this.#deps = deps;
    this.#options = options;
    const memory = new OwnMemory(directory.limits.memory, source);
    const registry = new Registry(memory);
    const storeAccess = new StoreAccess(env.logger);
    const hrefPrefix = `${pathReference(options.resourcePath)}/`;
    const shown = new ShownRegistrations({ directory, env, registry, source, hrefPrefix });
    const queue = this.#queue;
    this.#memory = memory;
    this.#registry = registry;
    this.#storeAccess = storeAccess;
    this.#shown = shown;
    this.#turns = turnsOf(env.clock);
    this.#ids = createLocationIds(env.random);
    this.#collection = new DormantCollection({ registry, queue, store, storeAccess, env });
    this.#ends = new LifetimeEnds({ registry, queue, store, storeAccess, env });
    const onDisk = new RegistrationsOnDisk({
      store,
      memory,
      env,
      bringBack: (stored) => queue.run(keyOf(stored), () => bringBack(this.#restoring(), stored)),
      onChange: onCompleteness,
      onAdded: (stored) => this.unshown.added(stored),
      onDeleted: (id) => this.unshown.removed(id),
    });
    this.#onDisk = onDisk;
    this.unshown = new UnshownRegistrations({ env, federation: directory.clock, registry, shown, onDisk });
    const parts = { directory, env, registry, memory, shown, onDisk, collection: this.#collection };
    this.#admission = new Admission({ ...parts, source, limits });
    this.#changes = new AppliedChanges({
      ...parts,
      unshown: this.unshown,
      onEnded: (id) => this.#ends.report(id),
      timesOf: (stored) => storedTimes({ env, federation: directory.clock }, stored),
    });
    directory.openSource(source, { authority: null });
    directory.setConnected(source, true, env.clock.nowMs());
    store.follow((change) => this.#changes.apply(change));
    store.shared?.onHealth(onCompleteness);
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

  /** Registrations that are kept and not shown, because there is no memory for them. */
  get onDisk(): number {
    return this.#onDisk.size;
  }

  /** Whether lookups may miss changes: others' do not arrive while a shared store is away. */
  get isBehind(): boolean {
    return this.#deps.store.shared?.health().isAway ?? false;
  }

  readonly positions: FeedPositions = {
    current: () => this.#changes.position,
    take: () => this.#deps.store.takePosition?.() ?? null,
  };

  tableSizes() {
    const { live, dormant } = this.#registry;
    return {
      live,
      dormant,
      queued: this.#queue.size,
      "on-disk": this.#onDisk.size,
      registrants: this.#memory.registrants,
      "ending-lifetimes": this.#ends.size,
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
    const parts = { registry: this.#registry, memory: this.#memory, onDisk: this.#onDisk };
    return {
      ...{ store, env, federation: directory.clock, ...parts },
      show: (stored: StoredRegistration, renewedAtMs: number, stampMs?: number): number => {
        const registration = this.#shown.build(stored, null, renewedAtMs);
        this.#shown.put(stampMs === undefined ? registration : { ...registration, stampMs });
        if (stored.isProxied === true) this.#options.onProxied?.(stored);
        return this.#shown.weight(stored.id);
      },
      forget: (stored: StoredRegistration): Pending<undefined> => this.remove(stored),
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
    this.#ends.close();
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
    return stored === undefined ? undefined : { ...ON_DISK, stored };
  }

  byEndpoint(endpoint: Pick<RegistrationContent, "ep" | "d">): RegistryEntry | undefined {
    return this.#registry.byEndpoint(endpoint, this.#deps.env.clock.nowMs());
  }

  /** Whether a registration of this id is kept, but not in the memory of this instance. */
  isOutOfReach(id: string): boolean {
    return this.#deps.store.shared !== undefined && this.#onDisk.has(id);
  }

  /**
   * Whether an id that is unknown here is really not registered. Another instance may have acknowledged it a moment ago: who shares a
   * store waits until it knows what the others know. False: nobody can say so now.
   */
  isUpToDate(): boolean | Promise<boolean> {
    return this.#deps.store.shared?.catchUp() ?? true;
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
    return this.#admission.refusalOf(endpoint, payload, registrant, this.byEndpoint(endpoint));
  }

  /** Registers: the same (ep, d) keeps its location, everything else is replaced (RFC 9176 section 5). */
  register(
    content: RegistrationContent,
    links: readonly Link[] | null,
    context?: SaveContext,
  ): Pending<StoredRegistration> {
    return this.#persist(() => this.#save({ ...content, id: this.#idFor(content) }, links, context));
  }

  /** Changes a registration as `change` says, which is called again when another instance was faster. */
  update(
    id: string,
    change: (entry: RegistryEntry) => Result<RegistrationContent & { readonly id: string }>,
    contextOf: (entry: RegistryEntry) => SaveContext,
  ): Pending<StoredRegistration> {
    return this.#persist(() => {
      const entry = this.byId(id);
      if (entry === undefined) return NOT_FOUND;
      const next = change(entry);
      return next.ok ? this.#save(next.value, null, contextOf(entry)) : next;
    });
  }

  remove(stored: StoredRegistration): Pending<undefined> {
    return this.#persist(() => {
      const entry = this.byId(stored.id);
      const registration = entry?.stored ?? stored;
      return this.#submit({ kind: "delete", registration }, entry?.position ?? null);
    });
  }

  #idFor(content: RegistrationContent): string {
    const known = this.byEndpoint(content)?.stored.id ?? this.#onDisk.idOf(content);
    if (known !== undefined) return known;
    return this.#deps.store.shared?.locationOf(content) ?? this.#ids.next((taken) => this.#registry.has(taken));
  }

  #persist<T>(attempt: () => Attempt<T> | Promise<Attempt<T>>, left = MAX_SUBMISSIONS): Pending<T> {
    return andThen(attempt(), (outcome): Pending<T> => {
      if (outcome !== CONFLICT) return outcome;
      return left > 1 ? this.#persist(attempt, left - 1) : CHANGED_TOO_OFTEN;
    });
  }

  #submit(operation: StoreOperation, expected: number | null): Attempt<undefined> | Promise<Attempt<undefined>> {
    return andThen(
      this.#storeAccess.attempt(() => this.#deps.store.submit(operation, expected)),
      (outcome): Attempt<undefined> => {
        if (!outcome.ok) return outcome;
        switch (outcome.value.kind) {
          case "stored":
            return accepted(undefined);
          case "conflict":
            return CONFLICT;
          case "too-large":
            return refused("too-large", "the registration is larger than what the shared store takes");
          default:
            return refused("store-away", outcome.value.message);
        }
      },
    );
  }

  /** Keeps a registration, renewed now. `links` are those of its text, unless the text is the one already kept. */
  #save(
    content: RegistrationContent & { readonly id: string },
    links: readonly Link[] | null,
    { registrant, freshUntilMs = 0 }: SaveContext = { registrant: "" },
  ): Attempt<StoredRegistration> | Promise<Attempt<StoredRegistration>> {
    const { directory, env } = this.#deps;
    const { clock: federation } = directory;
    federation.follow(env.clock);
    const nowMs = env.clock.nowMs();
    const stored = { ...content, renewedAtWallMs: env.clock.wallMs(), stampMs: federation.stampOf(nowMs) };
    const known = this.#registry.byId(stored.id, nowMs);
    const isAdded = known?.phase.kind !== "live";
    const isRenewal = !isAdded && isSameContent(known.stored, stored);
    const registration = isRenewal ? null : this.#shown.build(stored, links, nowMs, known);
    const shown = registration === null ? known?.shown : recordWeight(registration);
    const growth =
      registration === null
        ? 0
        : keptWeight(stored) + (shown ?? 0) - (known === undefined ? 0 : known.kept + known.shown);
    const release = this.#admission.reserve(stored.id, registrant, growth, isAdded);
    if (typeof release !== "function") return release;
    const times = { renewedAtMs: nowMs, freshUntilMs };
    const draft: Draft = { stored, registration, links, ...times, registrant, shown, release };
    const pace = <T>(apply: () => T | Promise<T>) => this.#inItsTurn(registrant, stored.links.length, apply);
    this.#changes.expect(stored.id, draft);
    return andThen(
      this.#submit({ kind: "put", registration: stored, pace }, known?.position ?? null),
      (outcome): Attempt<StoredRegistration> | Promise<Attempt<StoredRegistration>> => {
        release();
        this.#changes.expectNoLonger(stored.id);
        if (outcome === CONFLICT || !outcome.ok) return outcome;
        return draft.problem === undefined ? accepted(stored) : this.#takeBack(draft);
      },
    );
  }

  /** Does what takes long, as reading or showing `size` bytes of links, when there is time for it; else at once. */
  #inItsTurn<T>(registrant: string, size: number, work: () => T | Promise<T>): T | Promise<T> {
    return size < LONG_LINKS_BYTES ? work() : inItsTurn(this.#turns, registrant, work);
  }

  /** The directory, which other sources fill as well, has no room: the store must not know more than it. */
  #takeBack({ stored, problem }: Draft): Pending<StoredRegistration> {
    const previous = this.byId(stored.id);
    const operation: StoreOperation =
      previous === undefined
        ? { kind: "delete", registration: stored }
        : { kind: "put", registration: previous.stored };
    this.#changes.expect(stored.id, null);
    return andThen(this.#submit(operation, previous?.position ?? null), () => {
      this.#changes.expectNoLonger(stored.id);
      return refused(problem?.code === "MEMORY_FULL" ? "memory" : "full", problem?.message ?? "no room");
    });
  }

  #becomeDormant({ href, registration }: SourceChange): void {
    const id = this.#shown.idOf(href) ?? "";
    const entry = this.#registry.byId(id, this.#deps.env.clock.nowMs());
    if (entry?.phase.kind !== "live") return;
    const { registrant, position } = entry;
    this.#collection.add(entry.stored, registration.expiresAtMs, { registrant, position });
    this.#ends.report(id);
  }
}

/** An entry of a registration that is on disk only. */
const ON_DISK = {
  phase: { kind: "on-disk" },
  freshUntilMs: 0,
  revision: 0,
  registrant: "",
  position: 0,
  kept: 0,
  shown: 0,
} as const;

export const NOT_FOUND = refused("not-found", "no such registration");
const CHANGED_TOO_OFTEN = refused("conflict", "other instances change this registration all the time");
