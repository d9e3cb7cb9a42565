import type { Environment } from "@tributary/coap-transport";
import { type Link, parseLinkFormat } from "@tributary/link-model";
import { type Directory, MergeError, type Registration, type SourceChange } from "@tributary/merge-engine";
import { DormantCollection } from "./dormant-collection.js";
import { andThen, KeyedQueue } from "./keyed-queue.js";
import { createLocationIds } from "./location-ids.js";
import { pathReference } from "./paths.js";
import { accepted, type Result, refused } from "./refusal.js";
import { resolveDocument } from "./registration-document.js";
import { isSameContent, Registry, type RegistryEntry } from "./registry.js";
import { restoreRegistrations } from "./restore-registrations.js";
import { StoreAccess } from "./store-access.js";
import type { RegistrationLimits, RegistrationStore, StoredRegistration } from "./types.js";

export interface RegistrarDeps {
  readonly directory: Directory;
  readonly store: RegistrationStore;
  readonly env: Environment;
}

export interface RegistrarOptions {
  readonly source: string;
  readonly resourcePath: readonly string[];
  readonly limits: RegistrationLimits;
}

/** What an endpoint asks to be registered with. */
export type RegistrationContent = Omit<StoredRegistration, "id" | "renewedAtWallMs" | "stampMs">;

type Pending<T> = Result<T> | Promise<Result<T>>;

/**
 * Keeps store, registry and directory in step. The store comes first: what it does not take is neither shown nor
 * acknowledged. Operations on one (ep, d) go through `run`, in order.
 */
export class Registrar {
  readonly #deps: RegistrarDeps;
  readonly #options: RegistrarOptions;
  readonly #registry = new Registry();
  readonly #queue = new KeyedQueue();
  readonly #ids: ReturnType<typeof createLocationIds>;
  readonly #hrefPrefix: string;
  readonly #storeAccess: StoreAccess;
  readonly #collection: DormantCollection;
  readonly #stopListening: () => void;
  /** Registrations on their way into the store, for the limit. */
  #arriving = 0;
  #closing: Promise<void> | null = null;

  constructor(deps: RegistrarDeps, options: RegistrarOptions) {
    const { directory, env } = deps;
    const { source } = options;
    this.#deps = deps;
    this.#options = options;
    this.#ids = createLocationIds(env.random);
    this.#hrefPrefix = `${pathReference(options.resourcePath)}/`;
    this.#storeAccess = new StoreAccess(env.logger);
    this.#collection = new DormantCollection({
      registry: this.#registry,
      queue: this.#queue,
      store: deps.store,
      storeAccess: this.#storeAccess,
      env,
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

  tableSizes() {
    const { live, dormant } = this.#registry;
    return { live, dormant, queued: this.#queue.size };
  }

  /** Take over what the store kept; once, before the first request. */
  async load(): Promise<void> {
    const { directory, store, env } = this.#deps;
    const show = (stored: StoredRegistration, renewedAtMs: number, stampMs?: number): void =>
      this.#write(stored, null, renewedAtMs, stampMs);
    const forget = (id: string): Pending<undefined> => this.remove(id);
    directory.clock.follow(env.clock);
    await restoreRegistrations({ store, env, federation: directory.clock, registry: this.#registry, show, forget });
    this.#collection.arm();
  }

  /** Finish what is under way, then close the store. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#stopListening();
    this.#collection.close();
    await this.#queue.idle();
    await this.#deps.store.close();
  }

  run<T>(key: string, task: () => T | Promise<T>): T | Promise<T> {
    return this.#queue.run(key, task);
  }

  byId(id: string): RegistryEntry | undefined {
    return this.#registry.byId(id, this.#deps.env.clock.nowMs());
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

  /** Register anew: the same (ep, d) keeps its location, everything else is replaced (RFC 9176 section 5). */
  register(content: RegistrationContent, links: readonly Link[], freshUntilMs = 0): Pending<StoredRegistration> {
    const id = this.byEndpoint(content)?.stored.id ?? this.#ids.next((taken) => this.#registry.has(taken));
    return this.save({ ...content, id }, links, freshUntilMs);
  }

  /** Keep and show a registration, renewed now. `links` are those of its text, unless the text is the one already kept. */
  save(
    content: RegistrationContent & { readonly id: string },
    links: readonly Link[] | null,
    freshUntilMs = 0,
  ): Pending<StoredRegistration> {
    const { directory, env, store } = this.#deps;
    const { clock: federation } = directory;
    federation.follow(env.clock);
    const nowMs = env.clock.nowMs();
    const next: StoredRegistration = {
      ...content,
      renewedAtWallMs: env.clock.wallMs(),
      stampMs: federation.stampOf(nowMs),
    };
    const isAdded = this.#registry.byId(next.id, nowMs)?.phase.kind !== "live";
    const { registrations: limit } = this.#options.limits;
    if (isAdded && this.#registry.live + this.#arriving >= limit)
      return refused("full", `this directory holds ${limit} registrations`);
    if (isAdded) this.#arriving++;
    return andThen(
      this.#storeAccess.attempt(() => store.put(next)),
      (kept) => {
        if (isAdded) this.#arriving--;
        return kept.ok ? this.#show(next, links, nowMs, freshUntilMs) : kept;
      },
    );
  }

  remove(id: string): Pending<undefined> {
    const { directory, env, store } = this.#deps;
    return andThen(
      this.#storeAccess.attempt(() => store.delete(id)),
      (deleted) => {
        if (!deleted.ok) return deleted;
        this.#registry.remove(id);
        directory.remove(this.#options.source, this.#hrefPrefix + id, env.clock.nowMs());
        return deleted;
      },
    );
  }

  #show(
    next: StoredRegistration,
    links: readonly Link[] | null,
    nowMs: number,
    freshUntilMs: number,
  ): Pending<StoredRegistration> {
    try {
      this.#write(next, links, nowMs);
    } catch (error) {
      if (error instanceof MergeError) return this.#takeBack(next, error);
      // The directory has changed already; it was a listener that failed.
      this.#deps.env.logger.error("a listener of the directory failed", { error });
    }
    this.#registry.putLive(next, freshUntilMs);
    return accepted(next);
  }

  /** The directory, which other sources fill as well, has no room: the store must not know more than it. */
  #takeBack(next: StoredRegistration, error: MergeError): Pending<StoredRegistration> {
    const { store } = this.#deps;
    const previous = this.byId(next.id)?.stored;
    return andThen(
      this.#storeAccess.attempt(() => (previous === undefined ? store.delete(next.id) : store.put(previous))),
      () => refused("full", error.message),
    );
  }

  /** `stampMs`: what was told of the time of the renewal, where it does not follow from `renewedAtMs`. */
  #write(next: StoredRegistration, links: readonly Link[] | null, renewedAtMs: number, stampMs?: number): void {
    const { directory, env } = this.#deps;
    const { source } = this.#options;
    const href = this.#hrefPrefix + next.id;
    const nowMs = env.clock.nowMs();
    const stamp = stampMs === undefined ? {} : { stampMs };
    const times = { renewedAtMs, expiresAtMs: renewedAtMs + next.ltS * 1000, ...stamp };
    const known = this.#registry.byId(next.id, nowMs);
    const isShown = known?.phase.kind === "live";
    if (isShown && isSameContent(known.stored, next) && directory.renew(source, href, times, nowMs)) return;
    const isSameDocument = isShown && known.stored.base === next.base && known.stored.links === next.links;
    const shownLinks = isSameDocument ? directory.get(source, href)?.links : undefined;
    const registration: Registration = {
      href,
      ep: next.ep,
      ...(next.d === undefined ? {} : { d: next.d }),
      base: next.base,
      attributes: next.attributes,
      links: shownLinks ?? resolveDocument(next.base, links ?? linksOf(next)),
      ltMs: next.ltS * 1000,
      ...times,
      expiry: "exact",
      ...(next.zone === undefined ? {} : { zone: next.zone }),
    };
    directory.put(source, registration, nowMs);
  }

  #becomeDormant({ href, registration }: SourceChange): void {
    const id = href.slice(this.#hrefPrefix.length);
    const entry = this.byId(id);
    if (entry?.phase.kind === "live") this.#collection.add(entry.stored, registration.expiresAtMs);
  }
}

function linksOf(stored: StoredRegistration): readonly Link[] {
  const parsed = parseLinkFormat(stored.links);
  return parsed.ok ? parsed.links : [];
}
