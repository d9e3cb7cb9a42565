import type { Directory } from "@tributary/merge-engine";
import { addCount, type Environment } from "@tributary/runtime";
import type { ProxyOptions } from "../proxy-types.js";
import type { RefusalLog, Result } from "../refusal.js";
import type { Registrar } from "../registrar/registrar.js";
import { keyOf } from "../registrar/registry.js";
import type { StoredRegistration } from "../stored-registration.js";
import { andThen } from "../turns/keyed-queue.js";
import type { AnnouncedUris } from "./endpoint-names.js";
import { type ConnectedRequest, EndpointProxy } from "./endpoint-proxy.js";

export interface ProxiedRegistrationsDeps {
  readonly env: Environment;
  readonly directory: Directory;
  readonly registrar: Registrar;
  readonly refusals: RefusalLog;
}

type Outcome = Result<StoredRegistration> | Promise<Result<StoredRegistration>>;

/**
 * The registrations of endpoints that are proxied (draft 6.3): their base is a place of this RD, and they end with their connection.
 * What concerns one endpoint is called in the queue of its key.
 */
export class ProxiedRegistrations {
  readonly proxy: EndpointProxy;
  readonly #deps: ProxiedRegistrationsDeps;
  readonly #ends = new Map<string, number>();
  readonly #stopListening: () => void;

  /** `source`: name of the source of the directory that holds the registrations. */
  constructor(deps: ProxiedRegistrationsDeps, options: ProxyOptions & { readonly source: string }) {
    const { directory, env, refusals } = deps;
    this.#deps = deps;
    const endRegistration = (key: string, isStillAway: () => boolean) => this.#endAway(key, isStillAway);
    this.proxy = new EndpointProxy({ env, endRegistration, onRejected: (cause) => refusals.count(cause) }, options);
    this.#stopListening = directory.on("source", ({ source, kind, registration }) => {
      if (source !== options.source || kind !== "removed") return;
      const key = keyOf(registration);
      // Behind what is under way for this endpoint: it may register again at this moment.
      if (this.proxy.has(key)) void deps.registrar.run(key, () => this.#releaseUnregistered(key));
    });
  }

  /** Registrations that ended with their connection, by cause; monotonic. */
  get ends(): ReadonlyMap<string, number> {
    return this.#ends;
  }

  /** Registers an endpoint that asks to be proxied; `save` does so with the URIs that are announced for it. */
  async register(key: string, request: ConnectedRequest, save: (announced: AnnouncedUris) => Outcome) {
    const attached = await this.proxy.attach(key, request, this.#registered(key)?.base);
    if (!attached.ok) return attached;
    const outcome = await save(attached.value);
    if (!outcome.ok) await this.#releaseUnregistered(key);
    return outcome;
  }

  /**
   * Updates the registration of a proxied endpoint, or of one that asks to be proxied from now on (`isAsked`). The update leaves the
   * connection alone while there is one: it may come from somebody else.
   */
  async update(
    key: string,
    request: ConnectedRequest,
    { isAsked, update }: { readonly isAsked: boolean; readonly update: (announced?: AnnouncedUris) => Outcome },
  ) {
    return !isAsked && this.proxy.isConnected(key) ? await update() : await this.register(key, request, update);
  }

  /** The endpoint was registered with another base: its place is given up, unless that failed. */
  unproxied(key: string, outcome: Outcome): Outcome {
    if (!this.proxy.has(key)) return outcome;
    return andThen(outcome, (result) => {
      if (result.ok) void this.proxy.release(key);
      return result;
    });
  }

  /** Takes over what was registered in an earlier run. */
  async restore(restored: readonly StoredRegistration[]): Promise<void> {
    const { env, registrar } = this.#deps;
    for (const stored of restored) {
      await registrar.run(keyOf(stored), async () => {
        if (await this.proxy.restore(stored)) return;
        env.logger.warn("a proxied endpoint cannot keep its base and has to register again", { ep: stored.ep });
        addCount(this.#ends, "not-restored");
        await registrar.remove(stored);
      });
    }
  }

  async close(): Promise<void> {
    this.#stopListening();
    await this.proxy.close();
  }

  /** The live registration of a proxied endpoint. */
  #registered(key: string): StoredRegistration | undefined {
    const [ep = "", d] = key.split("\n");
    const entry = this.#deps.registrar.byEndpoint({ ep, ...(d === undefined ? {} : { d }) });
    return entry?.phase.kind === "live" && entry.stored.isProxied === true ? entry.stored : undefined;
  }

  async #releaseUnregistered(key: string): Promise<void> {
    if (this.#registered(key) === undefined) await this.proxy.release(key);
  }

  async #endAway(key: string, isStillAway: () => boolean): Promise<boolean> {
    const { env, registrar } = this.#deps;
    return await registrar.run(key, async () => {
      if (!isStillAway()) return true;
      const stored = this.#registered(key);
      if (stored === undefined) {
        await this.proxy.release(key);
        return true;
      }
      const removed = await registrar.remove(stored);
      if (!removed.ok) return false;
      addCount(this.#ends, "connection-lost");
      env.logger.info("a proxied endpoint did not connect again, and its registration has ended", { ep: stored.ep });
      return true;
    });
  }
}
