import {
  type ClientResponse,
  CODE,
  CONTENT_FORMAT,
  METHOD,
  type Observation,
  type Timer,
} from "@tributary/coap-transport";
import { type Link, parseLinkFormatTolerantly } from "@tributary/link-model";
import { Attribution } from "./attribution.js";
import { FIRST_RECONCILE_MS, HEARTBEAT_TIMEOUT_MS, MAX_DOCUMENT_BYTES, SURPRISES_UNTIL_DEAD } from "./constants.js";
import { assertContent, type Discovered, get, toUpstreamError } from "./discovery.js";
import { UpstreamError } from "./errors.js";
import type { Follower, FollowerDeps } from "./follower.js";
import { readEndpointDocument, replicatedLink } from "./foreign-documents.js";
import type { ForeignReplica } from "./foreign-replica.js";

type Interface = "ep" | "res";

/**
 * Follows an RD that does not speak the feed: whole lookup documents, by Observe where it works, confirmed and completed by
 * block-wise reading at an interval that grows while nothing surprises. Never trusts a silent observation (design section 4).
 */
export class LinkFollower implements Follower {
  readonly #deps: FollowerDeps;
  readonly #replica: ForeignReplica;
  readonly #abort = new AbortController();
  #found!: Discovered;
  #attribution!: Attribution;
  readonly #observations = new Map<Interface, Observation>();
  /** Latest whole documents that were not worked in yet. */
  readonly #arrived: { ep?: readonly Link[]; res?: readonly Link[] } = {};
  /** The resource document as last read. */
  #wholeResources: readonly Link[] = [];
  #pass: Promise<void> | null = null;
  #timer: Timer | null = null;
  #intervalMs = FIRST_RECONCILE_MS;
  #surprises = 0;
  #isObserved = false;
  #isComplete = false;

  constructor(deps: FollowerDeps, replica: ForeignReplica) {
    this.#deps = deps;
    this.#replica = replica;
  }

  get method(): "observe" | "poll" {
    return this.#isObserved ? "observe" : "poll";
  }

  get lagMs(): number {
    return this.#isObserved ? 0 : this.#deps.options.pollMs;
  }

  start(found: Discovered): void {
    this.#found = found;
    const { client, options } = this.#deps;
    this.#attribution = new Attribution({
      client,
      endpointLookup: found.endpointLookup,
      resourceLookup: found.resourceLookup,
      timeoutMs: HEARTBEAT_TIMEOUT_MS,
      concurrency: options.concurrency,
      signal: this.#abort.signal,
      readWhole: () => this.#readWhole(),
    });
    void this.#reconcile();
  }

  async stop(isReachable: boolean): Promise<void> {
    this.#abort.abort();
    this.#timer?.cancel();
    const observations = [...this.#observations.values()];
    this.#observations.clear();
    if (isReachable) await Promise.all(observations.map((observation) => observation.close()));
    else for (const observation of observations) observation.cancel();
    await this.#pass;
  }

  get #isStopped(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Read both documents whole and compare; the first time, this is the copy. Never rejects. */
  async #reconcile(): Promise<void> {
    try {
      const [ep, res] = [await this.#read("ep"), await this.#read("res")];
      if (this.#isStopped) return;
      this.#deps.events.receiving();
      const isSurprise = await this.#workIn({ ep, res });
      if (this.#isStopped) return;
      if (this.#isComplete) this.#judge(isSurprise);
      else await this.#finishCopy(ep);
      this.#schedule();
    } catch (error) {
      if (!this.#isStopped) this.#deps.events.failed(toUpstreamError(error));
    }
  }

  async #finishCopy(ep: readonly Link[]): Promise<void> {
    this.#isComplete = true;
    this.#observe("ep");
    this.#observe("res");
    await this.#probe(ep).catch(() => undefined);
    this.#deps.events.complete();
  }

  /** An observation that kept silent about changes twice is dead, whatever it promised. */
  #judge(isSurprise: boolean): void {
    const { options, remarks } = this.#deps;
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
    this.#timer = env.clock.setTimer(meanMs * (0.8 + 0.4 * env.random()), () => void this.#reconcile());
  }

  async #read(kind: Interface): Promise<readonly Link[]> {
    const response = await get(this.#deps.client, this.#uri(kind), [], HEARTBEAT_TIMEOUT_MS, this.#abort.signal);
    this.#deps.events.contact();
    this.#deps.events.bytes(response.wireBytes);
    if (response.code === CODE.NOT_FOUND) return [];
    assertContent(response);
    this.#deps.report({ etag: response.etag === undefined ? "no" : "yes" });
    return this.#parse(kind, response);
  }

  #uri(kind: Interface): string {
    return kind === "ep" ? this.#found.endpointLookup : this.#found.resourceLookup;
  }

  /** Tolerant reading; a document of another format is no document at all. @throws {UpstreamError} */
  #parse(kind: Interface, response: ClientResponse): readonly Link[] {
    // An empty answer may come without Content-Format.
    if (response.contentFormat !== undefined && response.contentFormat !== CONTENT_FORMAT.LINK_FORMAT) {
      throw new UpstreamError("UPSTREAM_UNREADABLE", `${kind} lookup answers in format ${response.contentFormat}`);
    }
    const { links, problems } = parseLinkFormatTolerantly(response.payload);
    const [first] = problems;
    if (first !== undefined) this.#deps.remarks.add(`${kind} lookup is not valid link format (${first.reason})`);
    if (links.length === 0 && response.payload.length > 0)
      throw new UpstreamError("UPSTREAM_UNREADABLE", `${kind} lookup cannot be read: ${first?.message ?? "no links"}`);
    return links;
  }

  #observe(kind: Interface): void {
    const uri = this.#uri(kind);
    const observation = this.#deps.client.observe(
      { method: METHOD.GET, uri, accept: CONTENT_FORMAT.LINK_FORMAT },
      { onNotification: (response) => this.#notified(kind, response), onEnd: (reason) => this.#ended(kind, reason) },
      { timeoutMs: HEARTBEAT_TIMEOUT_MS, maxBodyBytes: MAX_DOCUMENT_BYTES },
    );
    this.#observations.set(kind, observation);
  }

  #notified(kind: Interface, response: ClientResponse): void {
    if (this.#isStopped) return;
    this.#deps.events.contact();
    this.#deps.events.bytes(response.wireBytes);
    if (response.observe !== undefined && !this.#isObserved) {
      this.#isObserved = true;
      this.#deps.report({ observe: "yes" });
    }
    if (response.code !== CODE.CONTENT) return;
    const { links, problems } = parseLinkFormatTolerantly(response.payload);
    // Cut off at the end, or no link format at all: read the document in blocks instead of believing half of it.
    if (problems.length > 0) this.#deps.remarks.add(`a notification of ${kind} could not be read whole`);
    void this.#workIn(problems.length > 0 ? {} : { [kind]: links }).then(() =>
      problems.length > 0 ? this.#reconcile() : undefined,
    );
  }

  #ended(kind: Interface, reason: "not-observable" | "error-response" | Error): void {
    this.#observations.delete(kind);
    if (this.#isStopped) return;
    if (reason === "not-observable" && kind === "ep") this.#deps.report({ observe: "no" });
    if (this.#observations.size === 0) this.#isObserved = false;
    // The next reconciliation finds out whether the RD is gone or only its observation.
    if (reason !== "not-observable") {
      this.#deps.remarks.add(`the observation of ${kind} ended`);
      this.#intervalMs = FIRST_RECONCILE_MS;
    }
    this.#schedule();
  }

  /** Bring whole documents into the replica, one pass at a time; resolves with whether anything changed. Never rejects. */
  async #workIn(documents: { ep?: readonly Link[]; res?: readonly Link[] }): Promise<boolean> {
    Object.assign(this.#arrived, documents);
    while (this.#pass !== null) await this.#pass;
    let isChanged = false;
    this.#pass = (async () => {
      isChanged = await this.#runPass();
    })().catch((error: unknown) => {
      if (!this.#isStopped) this.#deps.events.failed(toUpstreamError(error));
    });
    await this.#pass;
    this.#pass = null;
    return isChanged;
  }

  async #runPass(): Promise<boolean> {
    const { ep, res } = this.#arrived;
    delete this.#arrived.ep;
    delete this.#arrived.res;
    if (this.#isStopped || (ep === undefined && res === undefined)) return false;
    const { env, events, remarks, options } = this.#deps;
    if (res !== undefined) this.#wholeResources = res.map((link) => replicatedLink(link, this.#found.resourceLookup));
    let changes = 0;
    if (ep !== undefined) {
      const context = {
        uri: this.#found.endpointLookup,
        ...(options.defaultSector === undefined ? {} : { defaultSector: options.defaultSector }),
      };
      const { endpoints, leftOut } = readEndpointDocument(ep, context);
      for (const reason of leftOut) remarks.add(reason);
      const taken = this.#replica.takeEndpoints(endpoints, env.clock.nowMs());
      changes += taken.changes;
      await this.#attribute(taken.toAttribute);
    }
    if (res !== undefined && (await this.#checkResources())) changes++;
    if (this.#replica.isAgeTrusted) this.#deps.report({ lifetimeAge: "yes" });
    if (changes > 0) events.changed();
    return changes > 0;
  }

  async #attribute(endpoints: ReturnType<ForeignReplica["endpoints"]>): Promise<boolean> {
    const links = await this.#attribution.linksOf(endpoints);
    if (this.#isStopped) return false;
    const { method } = this.#attribution;
    if (method !== null) this.#deps.report({ attribution: method, provenance: method === "provenance" ? "yes" : "no" });
    return this.#replica.takeLinks(links, this.#deps.env.clock.nowMs());
  }

  /** The links of all registrations together must be what the resource lookup shows; ask again where they are not. */
  async #checkResources(): Promise<boolean> {
    const suspects = this.#replica.suspects(this.#wholeResources);
    if (suspects === undefined) return false;
    const isChanged = await this.#attribute(suspects);
    if (this.#isStopped || this.#replica.suspects(this.#wholeResources) === undefined) return isChanged;
    // Either the RD changed in between, or this way of asking is wrong: read anew and ask for everything.
    await this.#readWhole();
    await this.#attribute(this.#replica.endpoints());
    if (!this.#isStopped && this.#replica.suspects(this.#wholeResources) !== undefined) await this.#tryAnotherWay();
    return true;
  }

  async #readWhole(): Promise<readonly Link[]> {
    this.#wholeResources = (await this.#read("res")).map((link) => replicatedLink(link, this.#found.resourceLookup));
    return this.#wholeResources;
  }

  async #tryAnotherWay(): Promise<void> {
    if (!this.#attribution.disprove()) {
      this.#deps.remarks.add("the links of its registrations do not add up to its resource lookup");
      return;
    }
    await this.#attribute(this.#replica.endpoints());
  }

  /** What else operators want to know; nothing depends on it but the push-down of `count`. */
  async #probe(ep: readonly Link[]): Promise<void> {
    const { client, report } = this.#deps;
    const ask = async (query: string) => {
      const response = await get(client, this.#found.endpointLookup, [query], HEARTBEAT_TIMEOUT_MS, this.#abort.signal);
      return response.code === CODE.CONTENT ? parseLinkFormatTolerantly(response.payload).links.length : -1;
    };
    if (ep.length > 0) report({ hrefFilter: (await ask("href=/*")) === ep.length ? "yes" : "no" });
    if (ep.length > 1) report({ paging: (await ask("count=1")) === 1 ? "yes" : "no" });
  }
}
