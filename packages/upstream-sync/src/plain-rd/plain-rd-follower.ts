import { type ClientResponse, CODE, CONTENT_FORMAT, METHOD, type Observation } from "@tributary/coap-transport";
import type { Link } from "@tributary/link-model";
import type { LookupInterface } from "@tributary/merge-engine";
import { feedSelector } from "@tributary/replication";
import { jittered, type Timer } from "@tributary/runtime";
import {
  CONTRADICTIONS_UNTIL_MOVED,
  FIRST_RECONCILE_MS,
  HEARTBEAT_TIMEOUT_MS,
  SURPRISES_UNTIL_DEAD,
} from "../constants.js";
import { type Discovered, deniesLookup, toUpstreamError } from "../discovery/discovery.js";
import { documentLimit } from "../document-size.js";
import { UpstreamError } from "../errors.js";
import type { Follower, FollowerDeps } from "../follower.js";
import { Attribution } from "./attribution.js";
import { learnWhetherRegistrationsRespond } from "./emptied-check.js";
import { type LookupDocument, LookupReader } from "./lookup-reader.js";
import type { PlainRdCopy } from "./plain-rd-copy.js";
import { Reconciliation } from "./reconciliation.js";

/**
 * Follows an RD that does not speak the feed: whole lookup documents, by Observe where it works, confirmed and completed by
 * block-wise reading at an interval that grows while nothing surprises. Never trusts a silent observation (design section 4).
 */
export class PlainRdFollower implements Follower {
  readonly #deps: FollowerDeps;
  readonly #copy: PlainRdCopy;
  readonly #abort = new AbortController();
  #found!: Discovered;
  #reader!: LookupReader;
  #check!: Reconciliation;
  readonly #observations = new Map<LookupInterface, Observation>();
  /** Interfaces that answer without Observe: they are not asked again to be observed. */
  readonly #unobservable = new Set<LookupInterface>();
  /** Latest whole documents that were not worked in yet; a resource document of null could not be read. */
  readonly #arrived: { ep?: LookupDocument; res?: readonly Link[] | null } = {};
  /** Latest notification of each kind that was not read yet. */
  readonly #unread = new Map<LookupInterface, ClientResponse>();
  #isReading = false;
  #pass: Promise<boolean> | null = null;
  #nextPass: Promise<boolean> | null = null;
  #isReconciling = false;
  #timer: Timer | null = null;
  #intervalMs = FIRST_RECONCILE_MS;
  #surprises = 0;
  #isObserved = false;
  #isComplete = false;
  #wasProbed = false;

  constructor(deps: FollowerDeps, copy: PlainRdCopy) {
    this.#deps = deps;
    this.#copy = copy;
  }

  get method(): "observe" | "poll" {
    return this.#isObserved ? "observe" : "poll";
  }

  get showsPart(): boolean {
    return !this.#isComplete && this.#check?.showsPart === true;
  }

  get lagMs(): number {
    return this.#isObserved ? 0 : this.#deps.options.pollMs;
  }

  start(found: Discovered): void {
    const { client, names, options } = this.#deps;
    const { signal } = this.#abort;
    const reader = new LookupReader(this.#deps, found, signal);
    const attribution = new Attribution({
      client,
      endpointLookup: found.endpointLookup,
      names,
      resourceLookup: found.resourceLookup,
      timeoutMs: HEARTBEAT_TIMEOUT_MS,
      concurrency: options.concurrency,
      nowMs: () => this.#deps.env.clock.nowMs(),
      signal,
      turns: this.#deps.turns,
      readWhole: () => reader.readResources(),
      isNotFoundNothing: () => this.#learnNotFound(),
      endpoints: () => this.#copy.endpoints(),
      knownLinks: (href) => this.#copy.linksOf(href),
    });
    this.#found = found;
    this.#reader = reader;
    this.#check = new Reconciliation(this.#deps, { copy: this.#copy, reader, attribution, signal });
    void this.#reconcile();
  }

  async stop(isReachable: boolean): Promise<void> {
    this.#abort.abort();
    this.#timer?.cancel();
    const observations = [...this.#observations.values()];
    this.#observations.clear();
    if (isReachable) await Promise.all(observations.map((observation) => observation.close()));
    else for (const observation of observations) observation.cancel();
    await (this.#nextPass ?? this.#pass);
  }

  get #isStopped(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Read both documents whole and compare; the first time, this is the copy. One at a time. Never rejects. */
  async #reconcile(): Promise<void> {
    if (this.#isReconciling || this.#isStopped) return;
    this.#isReconciling = true;
    this.#timer?.cancel();
    try {
      const ep = await this.#reader.readEndpoints();
      const isFirst = !this.#isComplete && ep.links.length > 0;
      const isSurprise = isFirst ? await this.#copyFirst(ep) : await this.#compareBoth(ep);
      if (this.#isStopped) return;
      if (this.#isComplete) this.#judge(isSurprise);
      else await this.#finishCopy();
      await this.#probe(this.#copy.size).catch(() => undefined);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isReconciling = false;
      this.#schedule();
    }
  }

  /** What the endpoint lookup shows is worked in before the longer document is read, so that something is shown soon. */
  async #copyFirst(ep: LookupDocument): Promise<boolean> {
    if (this.#isStopped) return false;
    this.#deps.events.receiving();
    await this.#workIn({ ep });
    if (this.#isStopped) return false;
    const res = await (this.#check.takeWhole() ?? this.#reader.readResources());
    return this.#isStopped ? false : this.#workIn({ res });
  }

  async #compareBoth(first: LookupDocument): Promise<boolean> {
    const { ep, res } = await this.#readBoth(first);
    if (this.#isStopped) return false;
    this.#deps.events.receiving();
    return this.#workIn({ ep, res });
  }

  /**
   * Read the second document, and the first again if need be. Links belong to endpoints: an endpoint lookup that shows none of them, twice, is not where discovery
   * said, or is not there any more. Once may be a registration between the two readings. @throws {UpstreamError}
   */
  async #readBoth(first: LookupDocument): Promise<{ ep: LookupDocument; res: readonly Link[] | null }> {
    for (let tries = 1; ; tries++) {
      const ep = tries === 1 ? first : await this.#reader.readEndpoints();
      const res = await this.#reader.readResources();
      const contradicts = ep.links.length === 0 && res !== null && res.length > 0;
      if (!contradicts || this.#isStopped) return { ep, res };
      if (tries >= CONTRADICTIONS_UNTIL_MOVED)
        throw new UpstreamError("UPSTREAM_UNREADABLE", "it shows links and no endpoint; its lookups may have moved");
    }
  }

  /** Whether 4.04 means that nothing matches; to be asked while the RD shows registrations. Never rejects. */
  #learnNotFound(): Promise<boolean> {
    const { client, notFound } = this.#deps;
    const control = { client, timeoutMs: HEARTBEAT_TIMEOUT_MS, signal: this.#abort.signal };
    return notFound.learn(this.#reader.uri("ep"), control);
  }

  #fail(error: unknown): void {
    if (!this.#isStopped) this.#deps.events.failed(toUpstreamError(error));
  }

  async #finishCopy(): Promise<void> {
    this.#isComplete = true;
    this.#observeAll();
    if (!this.#isStopped) this.#deps.events.complete();
  }

  /** An observation that kept silent about changes twice is dead, whatever it promised. */
  #judge(isSurprise: boolean): void {
    const { options, remarks } = this.#deps;
    // One that ended, with the RD or by an error of a single query, may work again.
    this.#observeAll();
    if (!isSurprise) {
      this.#intervalMs = Math.min(2 * this.#intervalMs, 2 * options.pollMs);
      return;
    }
    this.#intervalMs = FIRST_RECONCILE_MS;
    if (!this.#isObserved) return;
    this.#surprises++;
    for (const observation of this.#observations.values()) observation.refresh();
    if (this.#surprises >= SURPRISES_UNTIL_DEAD && remarks.add("Observe does not tell every change; polled as well"))
      this.#deps.report({ observe: "no" });
  }

  #schedule(): void {
    if (this.#isStopped) return;
    const { env, options } = this.#deps;
    const isTrusted = this.#isObserved && this.#surprises < SURPRISES_UNTIL_DEAD;
    const meanMs = isTrusted ? this.#intervalMs : options.pollMs;
    this.#timer?.cancel();
    this.#timer = env.clock.setTimer(jittered(env.random, meanMs, 0.8, 1.2), () => void this.#reconcile());
  }

  #observeAll(): void {
    for (const kind of ["ep", "res"] as const)
      if (!this.#observations.has(kind) && !this.#unobservable.has(kind)) this.#observe(kind);
  }

  #observe(kind: LookupInterface): void {
    const observation = this.#deps.client.observe(
      { method: METHOD.GET, uri: this.#reader.uri(kind), accept: CONTENT_FORMAT.LINK_FORMAT },
      { onNotification: (response) => this.#notified(kind, response), onEnd: (reason) => this.#ended(kind, reason) },
      { timeoutMs: HEARTBEAT_TIMEOUT_MS, maxBodyBytes: documentLimit(this.#deps.directory.limits.memory) },
    );
    this.#observations.set(kind, observation);
  }

  #notified(kind: LookupInterface, response: ClientResponse): void {
    if (this.#isStopped) return;
    this.#deps.events.contact();
    this.#deps.events.bytes(response.wireBytes);
    if (response.observe !== undefined && !this.#isObserved) {
      this.#isObserved = true;
      this.#deps.report({ observe: "yes" });
    }
    if (deniesLookup(response.code)) void this.#reconcile();
    if (response.code !== CODE.CONTENT) return;
    this.#unread.set(kind, response);
    if (!this.#isReading) void this.#readNotifications();
  }

  /** One after the other, and of each kind only the newest: it says all that those before it said. Never rejects. */
  async #readNotifications(): Promise<void> {
    this.#isReading = true;
    try {
      for (let [next] = this.#unread; next !== undefined && !this.#isStopped; [next] = this.#unread) {
        this.#unread.delete(next[0]);
        await this.#readNotification(...next);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isReading = false;
    }
  }

  async #readNotification(kind: LookupInterface, response: ClientResponse): Promise<void> {
    const links = await this.#reader.readNotification(kind, response);
    // Cut off, or no link format at all: read the document in blocks instead of believing half of it.
    if (links === null) void this.#reconcile();
    else if (kind === "ep") void this.#workIn({ ep: { links, isWhole: true } });
    else void this.#workIn({ res: await this.#reader.replicated(links) });
  }

  #ended(kind: LookupInterface, reason: "not-observable" | "error-response" | Error): void {
    this.#observations.delete(kind);
    if (this.#isStopped) return;
    if (reason === "not-observable") {
      this.#unobservable.add(kind);
      if (kind === "ep") this.#deps.report({ observe: "no" });
    }
    if (this.#observations.size === 0) this.#isObserved = false;
    // The next reconciliation finds out whether the RD is gone or only its observation.
    if (reason !== "not-observable") {
      this.#deps.remarks.add(`the observation of ${kind} ended`);
      this.#intervalMs = FIRST_RECONCILE_MS;
    }
    if (!this.#isReconciling) this.#schedule();
  }

  /**
   * Bring whole documents into the copy, one pass at a time; resolves with whether anything changed. Never rejects.
   * However many arrive while a pass is running, one more pass takes the latest of each kind.
   */
  #workIn(documents: { ep?: LookupDocument; res?: readonly Link[] | null }): Promise<boolean> {
    Object.assign(this.#arrived, documents);
    if (this.#pass === null) return this.#startPass();
    this.#nextPass ??= this.#pass.then(() => {
      this.#nextPass = null;
      return this.#startPass();
    });
    return this.#nextPass;
  }

  #startPass(): Promise<boolean> {
    const pass = this.#runPass()
      .catch((error: unknown) => {
        this.#fail(error);
        return false;
      })
      .finally(() => {
        this.#pass = null;
      });
    this.#pass = pass;
    return pass;
  }

  async #runPass(): Promise<boolean> {
    const { ep, res } = this.#arrived;
    delete this.#arrived.ep;
    delete this.#arrived.res;
    if (this.#isStopped || (ep === undefined && res === undefined)) return false;
    let isChanged = ep !== undefined && (await this.#check.takeEndpoints(ep));
    if (res !== undefined && !this.#isStopped && (await this.#check.compare(res))) isChanged = true;
    if (this.#isReconciling && !this.#isStopped && (await this.#check.verifySome())) isChanged = true;
    if (this.#copy.isAgeTrusted) this.#deps.report({ lifetimeAge: "yes" });
    if (isChanged) this.#deps.events.changed();
    return isChanged;
  }

  /** What is found out once about an RD that has registrations: what 4.04 means, and what the push-down of `count` depends on. */
  async #probe(registrations: number): Promise<void> {
    const { report } = this.#deps;
    const ask = (query: string) => this.#reader.count("ep", query).catch(() => -1);
    if (registrations === 0 || this.#wasProbed || this.#isStopped) return;
    this.#wasProbed = true;
    if (!(await this.#learnNotFound()))
      await learnWhetherRegistrationsRespond(this.#deps, this.#found, this.#abort.signal);
    report({ hrefFilter: (await ask(feedSelector("ep", "own"))) === registrations ? "yes" : "no" });
    if (registrations > 1) report({ paging: (await ask("count=1")) === 1 ? "yes" : "no" });
  }
}
