import {
  CODE,
  CONTENT_FORMAT,
  errorResponse,
  METHOD,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";
import { type Attribute, type Criterion, parseLookupQuery } from "@tributary/link-model";
import { type Directory, type LookupInterface, LT_AGE, type SourceChange } from "@tributary/merge-engine";
import type { Environment } from "@tributary/runtime";
import { isSameTag } from "./body-hash.js";
import { MAX_TRIES, RETRY_AFTER_S } from "./constants.js";
import { type AskedLookup, LookupObservers, type LookupOutcome } from "./lookup-observers.js";
import { isSourceClosed, LookupRenderer } from "./lookup-renderer.js";
import { type BodyWriter, createBodyWriter } from "./lookup-rendering.js";
import { lookupScope } from "./lookup-scope.js";
import { normaliseOwnCriteria } from "./own-authority.js";
import { CachedLookups } from "./response-validity.js";
import type {
  LookupContext,
  LookupObservation,
  LookupResult,
  LookupSource,
  ReplicaPolicy,
  SiteResource,
} from "./types.js";

/** Responds to requests for the replication feed (docs/protocol.md). */
export interface FeedResponder {
  answer(kind: LookupInterface, criteria: readonly Criterion[], request: ServerRequest): ServerResponse;
}

/** Collaborators of `createLookupInterface`. */
export interface LookupInterfaceDeps {
  /** Its changes notify observers. */
  readonly directory: Directory;
  readonly env: Environment;
  /** Finds the results of lookups. */
  readonly source: LookupSource;
  readonly mayReplicate: ReplicaPolicy;
  /** The setting that says who may replicate, as a refusal names it. */
  readonly replicasSetting?: string;
  /** Serves requests with Accept 51; absent: there is no feed. */
  readonly feed?: FeedResponder;
  readonly onLookup?: LookupObservation;
  /** The source with the registrations of this node, if the directory has others as well. */
  readonly ownSource?: string;
  /** Calls back when something besides the directory changes the results of lookups. */
  readonly onCoverageChange?: (listener: () => void) => void;
}

/** Settings of `createLookupInterface`. */
export interface LookupInterfaceOptions {
  readonly kind: LookupInterface;
  readonly path: readonly string[];
  /** How `/.well-known/core` shows the interface. */
  readonly attributes: readonly Attribute[];
  /** Path above the registration resources; default `["reg"]`. */
  readonly resourcePath?: readonly string[];
  /** Content-Format number of application/linkset+json (RFC 9264); absent: not offered. */
  readonly linksetFormat?: number;
  /** Content-Format number of a JSON array with an object for each link; absent: not offered. */
  readonly jsonFormat?: number;
}

/** Creates an endpoint or resource lookup (RFC 9176 section 6), observable, with `provenance` and `lt-age` (draft 5). */
export function createLookupInterface(deps: LookupInterfaceDeps, options: LookupInterfaceOptions): SiteResource {
  const resource = new LookupResource(deps, options);
  return { path: options.path, attributes: options.attributes, handle: (request) => resource.handle(request) };
}

/** The refusal of a lookup during which sources were closed time and again. */
const REPLACED: LookupOutcome = {
  kind: "refusal",
  response: {
    ...errorResponse(CODE.UNAVAILABLE, "sources of the directory are being replaced"),
    maxAgeS: RETRY_AFTER_S,
  },
};

type Understood<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly response: ServerResponse };

class LookupResource {
  readonly #deps: LookupInterfaceDeps;
  readonly #kind: LookupInterface;
  readonly #resourcePath: readonly string[];
  readonly #writer: BodyWriter;
  readonly #observers: LookupObservers;
  readonly #cached: CachedLookups;
  readonly #renderer: LookupRenderer;

  constructor(deps: LookupInterfaceDeps, { kind, resourcePath, linksetFormat, jsonFormat }: LookupInterfaceOptions) {
    this.#deps = deps;
    this.#kind = kind;
    this.#resourcePath = resourcePath ?? ["reg"];
    this.#writer = createBodyWriter({ linksetFormat, jsonFormat, seed: Math.floor(deps.env.random() * 2 ** 32) });
    this.#observers = new LookupObservers({ directory: deps.directory, perform: (asked) => this.#perform(asked) });
    this.#cached = new CachedLookups({ directory: deps.directory, clock: deps.env.clock });
    this.#renderer = new LookupRenderer({
      directory: deps.directory,
      env: deps.env,
      writer: this.#writer,
      state: () => `${this.#observers.changes} ${this.#cached.age}`,
    });
    deps.onCoverageChange?.(() => this.#cached.forgetAll());
    const { ownSource } = deps;
    if (ownSource !== undefined) deps.directory.on("source", (change) => this.#onOwnChange(change, ownSource));
  }

  handle(request: ServerRequest): ServerResponse | Promise<ServerResponse> {
    if (request.method !== METHOD.GET) return errorResponse(CODE.METHOD_NOT_ALLOWED, "lookups take GET");
    if (request.accept === CONTENT_FORMAT.JSON_PATCH) return this.#handleFeed(request);
    const startMs = this.#deps.env.clock.nowMs();
    const asked = this.#understand(request);
    if (!asked.ok) return this.#refuse(asked.response, startMs);
    const beginning = { startMs, changes: this.#observers.changes, age: this.#cached.age };
    const outcome = this.#perform(asked.value);
    return outcome instanceof Promise
      ? outcome.then((settled) => this.#respond(asked.value, settled, beginning))
      : this.#respond(asked.value, outcome, beginning);
  }

  /** A change of a superseded registration of this node concerns only lookups of what is registered here. */
  #onOwnChange({ source, kind, registration }: SourceChange, ownSource: string): void {
    if (source !== ownSource || kind === "renewed") return;
    const { ep, d, shownHref } = registration;
    if (this.#deps.directory.winner(ep, d)?.shownHref === shownHref) return;
    this.#cached.forgetAll();
    this.#observers.wake((context) => context.scope === "here");
  }

  /** The replication feed (design section 3) at the same place as the lookup. */
  #handleFeed(request: ServerRequest): ServerResponse {
    const { feed, mayReplicate } = this.#deps;
    if (feed === undefined) return errorResponse(CODE.NOT_ACCEPTABLE, this.#writer.offer);
    if (!mayReplicate(request.peer))
      return errorResponse(
        CODE.FORBIDDEN,
        `you may not replicate this directory (${this.#deps.replicasSetting ?? "registration.replicas"})`,
      );
    const read = this.#readQuery(request, request.query);
    if (!read.ok) return read.response;
    const { criteria, count } = read.value.query;
    if (count !== undefined) return errorResponse(CODE.BAD_REQUEST, "a feed has no pages");
    return feed.answer(this.#kind, criteria, request);
  }

  #understand(request: ServerRequest): Understood<AskedLookup> {
    const format = this.#writer.negotiate(request.accept);
    if (format === null) return { ok: false, response: errorResponse(CODE.NOT_ACCEPTABLE, this.#writer.offer) };
    // Draft 5.2: ages are for peers that need to know; for all others this is a criterion that nothing meets.
    const showsAges = this.#kind === "ep" && request.query.includes(LT_AGE) && this.#deps.mayReplicate(request.peer);
    const items = showsAges ? request.query.filter((item) => item !== LT_AGE) : request.query;
    const context = this.#readQuery(request, items);
    return context.ok ? { ok: true, value: { context: context.value, format, showsAges } } : context;
  }

  #readQuery(request: ServerRequest, items: readonly string[]): Understood<LookupContext> {
    const parsed = parseLookupQuery(items);
    if (!parsed.ok) return { ok: false, response: errorResponse(CODE.BAD_REQUEST, parsed.message) };
    const kind = this.#kind;
    const criteria = normaliseOwnCriteria(parsed.query.criteria, { kind, request, resourcePath: this.#resourcePath });
    const query = criteria === parsed.query.criteria ? parsed.query : { ...parsed.query, criteria };
    return { ok: true, value: { kind, query, scope: lookupScope(request, criteria), items, request } };
  }

  /** Performs a lookup, from its beginning where a source that it reads is closed meanwhile. */
  #perform(asked: AskedLookup, triesLeft = MAX_TRIES): LookupOutcome | Promise<LookupOutcome> {
    const tryAgain = (error: unknown): LookupOutcome | Promise<LookupOutcome> => {
      if (!isSourceClosed(error)) throw error;
      return triesLeft > 1 ? this.#perform(asked, triesLeft - 1) : REPLACED;
    };
    try {
      const outcome = this.#performOnce(asked);
      return outcome instanceof Promise ? outcome.catch(tryAgain) : outcome;
    } catch (error) {
      return tryAgain(error);
    }
  }

  #performOnce(asked: AskedLookup): LookupOutcome | Promise<LookupOutcome> {
    const result = this.#deps.source(asked.context);
    return result instanceof Promise
      ? result.then((settled) => this.#renderer.render(asked, settled))
      : this.#renderer.render(asked, result);
  }

  #respond(asked: AskedLookup, outcome: LookupOutcome, beginning: LookupBeginning): ServerResponse {
    const { startMs, changes, age } = beginning;
    if (outcome.kind === "refusal") return this.#refuse(outcome.response, startMs);
    const { request } = asked.context;
    const { etag, origin } = outcome;
    this.#count(origin, startMs);
    let response = outcome.response;
    if (request.etags.some((held) => isSameTag(held, etag))) response = validated(response);
    // A response is cached only if the directory has not changed while it was written, for no later change would invalidate it.
    const isPresent = changes === this.#observers.changes && age === this.#cached.age;
    if (outcome.isCacheable && isPresent && request.observe === undefined) return this.#withLife(asked, response);
    // Changes of the directory are noticed here. A result of another RD may change unnoticed, so it cannot be observed.
    if (request.observe !== 0 || (origin !== "local" && origin !== "partial")) return response;
    return { ...response, observation: this.#observers.observe(asked, etag, changes) };
  }

  #withLife({ context }: AskedLookup, response: ServerResponse): ServerResponse {
    const { criteria } = context.query;
    const onGiven = (): void => this.#deps.onLookup?.(this.#kind, "local", 0);
    return { ...response, trackValidity: () => this.#cached.begin(criteria, onGiven) };
  }

  #refuse(response: ServerResponse, startMs: number): ServerResponse {
    this.#count("error", startMs);
    return response;
  }

  #count(origin: NonNullable<LookupResult["origin"]> | "error", startMs: number): void {
    this.#deps.onLookup?.(this.#kind, origin, this.#deps.env.clock.nowMs() - startMs);
  }
}

/** The state of the directory when a lookup began. */
interface LookupBeginning {
  readonly startMs: number;
  readonly changes: number;
  readonly age: number;
}

/** 2.03 (Valid): the client has the current response (RFC 7252 section 5.9.1.3). */
function validated({ etag, maxAgeS }: ServerResponse): ServerResponse {
  return { code: CODE.VALID, ...(etag === undefined ? {} : { etag }), ...(maxAgeS === undefined ? {} : { maxAgeS }) };
}
