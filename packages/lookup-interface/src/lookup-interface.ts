import {
  addressHolder,
  CODE,
  CONTENT_FORMAT,
  errorResponse,
  METHOD,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";
import { type Attribute, type Criterion, type Link, parseLookupQuery } from "@tributary/link-model";
import type { Directory, LookupInterface, SourceChange } from "@tributary/merge-engine";
import { type Environment, type Turns, turnsOf } from "@tributary/runtime";
import { isSameTag } from "./body-hash.js";
import {
  HEAD_BYTES,
  MAX_AGE_WITH_AGES_S,
  MAX_BODY_BYTES,
  MAX_UNPROVEN_BODY_BYTES,
  MAX_WAITING_LOOKUPS,
  MIN_STEPPED,
  RETRY_AFTER_S,
} from "./constants.js";
import { AGE_ITEM, withLifetimeAge, withLifetimeAges } from "./lifetime-age.js";
import { type AskedLookup, LookupObservers, type LookupOutcome } from "./lookup-observers.js";
import {
  type BegunBody,
  BodyTooLarge,
  type BodyWriter,
  createBodyWriter,
  type WrittenBody,
} from "./lookup-rendering.js";
import { lookupScope } from "./lookup-scope.js";
import { takeInTurns } from "./lookup-steps.js";
import { normaliseOwnCriteria } from "./own-authority.js";
import { CachedLookups } from "./response-validity.js";
import type {
  LookupContext,
  LookupObservation,
  LookupRefusal,
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
  /** Whose changes observers are told of. */
  readonly directory: Directory;
  readonly env: Environment;
  /** Decides what a lookup is answered with. */
  readonly source: LookupSource;
  readonly mayReplicate: ReplicaPolicy;
  /** The setting that says who may replicate, as a refusal names it. */
  readonly replicasSetting?: string;
  /** Answers Accept 51; absent: no feed here. */
  readonly feed?: FeedResponder;
  readonly onLookup?: LookupObservation;
  /** The source with what is registered here, where the directory has others as well. */
  readonly ownSource?: string;
  /** Calls back when something besides the directory changes what lookups are answered with. */
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
}

/** An endpoint or resource lookup (RFC 9176 section 6), observable, with `provenance` and `lt-age` (draft 5). */
export function createLookupInterface(deps: LookupInterfaceDeps, options: LookupInterfaceOptions): SiteResource {
  const resource = new LookupResource(deps, options);
  return { path: options.path, attributes: options.attributes, handle: (request) => resource.handle(request) };
}

type Understood<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly response: ServerResponse };

class LookupResource {
  readonly #deps: LookupInterfaceDeps;
  readonly #kind: LookupInterface;
  readonly #resourcePath: readonly string[];
  readonly #writer: BodyWriter;
  readonly #observers: LookupObservers;
  readonly #lasting: CachedLookups;
  readonly #turns: Turns;
  /** Lookups that are answered in several turns. */
  #waiting = 0;

  constructor(deps: LookupInterfaceDeps, { kind, resourcePath, linksetFormat }: LookupInterfaceOptions) {
    this.#deps = deps;
    this.#kind = kind;
    this.#resourcePath = resourcePath ?? ["reg"];
    this.#writer = createBodyWriter({ linksetFormat, seed: Math.floor(deps.env.random() * 2 ** 32) });
    this.#observers = new LookupObservers({ directory: deps.directory, answer: (asked) => this.#answer(asked) });
    this.#lasting = new CachedLookups({ directory: deps.directory, clock: deps.env.clock });
    this.#turns = turnsOf(deps.env.clock);
    deps.onCoverageChange?.(() => this.#lasting.forgetAll());
    const { ownSource } = deps;
    if (ownSource !== undefined) deps.directory.on("source", (change) => this.#onOwnChange(change, ownSource));
  }

  handle(request: ServerRequest): ServerResponse | Promise<ServerResponse> {
    if (request.method !== METHOD.GET) return errorResponse(CODE.METHOD_NOT_ALLOWED, "lookups take GET");
    if (request.accept === CONTENT_FORMAT.JSON_PATCH) return this.#handleFeed(request);
    const startMs = this.#deps.env.clock.nowMs();
    const asked = this.#understand(request);
    if (!asked.ok) return this.#refuse(asked.response, startMs);
    const began = { startMs, changes: this.#observers.changes, age: this.#lasting.age };
    const outcome = this.#answer(asked.value);
    return outcome instanceof Promise
      ? outcome.then((settled) => this.#respond(asked.value, settled, began))
      : this.#respond(asked.value, outcome, began);
  }

  /** What changes while it is superseded is seen only by lookups of what is registered here. */
  #onOwnChange({ source, kind, registration }: SourceChange, ownSource: string): void {
    if (source !== ownSource || kind === "renewed") return;
    const { ep, d, shownHref } = registration;
    if (this.#deps.directory.winner(ep, d)?.shownHref === shownHref) return;
    this.#lasting.forgetAll();
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
    // Draft 5.2: ages are for those who need to know; for all others this is a criterion that nothing meets.
    const showsAges = this.#kind === "ep" && request.query.includes(AGE_ITEM) && this.#deps.mayReplicate(request.peer);
    const items = showsAges ? request.query.filter((item) => item !== AGE_ITEM) : request.query;
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

  #answer(asked: AskedLookup): LookupOutcome | Promise<LookupOutcome> {
    const answer = this.#deps.source(asked.context);
    return answer instanceof Promise
      ? answer.then((settled) => this.#render(asked, settled))
      : this.#render(asked, answer);
  }

  #render(asked: AskedLookup, answer: LookupResult | LookupRefusal): LookupOutcome | Promise<LookupOutcome> {
    if (!("links" in answer)) return { kind: "refusal", response: errorResponse(answer.code, answer.message) };
    const text = asked.format === CONTENT_FORMAT.LINK_FORMAT && !asked.showsAges ? answer.text?.() : undefined;
    if (text !== undefined && text !== null)
      return this.#orRefusal(asked, () => this.#whole(asked, answer, this.#writer.encode(text, maxBytesOf(asked))));
    const { steps } = answer;
    if (steps !== undefined && this.#isLong(answer))
      return this.#renderInTurns(asked, answer, steps()[Symbol.iterator]());
    return this.#orRefusal(asked, () => {
      if (this.#mayBeUnfinished(asked, answer)) return this.#begin(asked, answer, answer.links[Symbol.iterator]());
      return this.#whole(asked, answer, this.#write(asked, answer.links));
    });
  }

  /** Something may take long: a lookup may look at very much to find little. */
  #isLong({ links }: LookupResult): boolean {
    return this.#deps.directory.counts().total >= MIN_STEPPED || (Array.isArray(links) && links.length >= MIN_STEPPED);
  }

  #renderInTurns(
    asked: AskedLookup,
    answer: LookupResult,
    steps: Iterator<Link | null>,
  ): LookupOutcome | Promise<LookupOutcome> {
    if (this.#waiting >= MAX_WAITING_LOOKUPS) return TOO_MANY;
    const outcome = this.#orRefusal(asked, () =>
      this.#mayBeUnfinished(asked, answer)
        ? this.#begin(asked, answer, steps)
        : this.#writeInTurns(asked, answer, steps),
    );
    if (!(outcome instanceof Promise)) return outcome;
    this.#waiting++;
    return outcome.finally(() => {
      this.#waiting--;
    });
  }

  #writeInTurns(
    asked: AskedLookup,
    answer: LookupResult,
    steps: Iterator<Link | null>,
  ): LookupOutcome | Promise<LookupOutcome> {
    const { showsAges, format } = asked;
    const { directory, env } = this.#deps;
    const body = this.#writer.start(format, maxBytesOf(asked));
    const nowMs = env.clock.nowMs();
    let written: WrittenBody | undefined;
    function* all(): Generator<Link | null> {
      for (let next = steps.next(); next.done !== true; next = steps.next()) yield next.value;
      written = yield* body.finish();
    }
    const rest = takeInTurns(this.#turns, ownerOf(asked), all(), (link) => {
      body.add(showsAges ? withLifetimeAge(link, directory, nowMs) : link);
      return true;
    });
    const whole = (): LookupOutcome => this.#whole(asked, answer, written as WrittenBody);
    return rest === undefined ? whole() : rest.then(whole);
  }

  #write(asked: AskedLookup, links: Iterable<Link>): WrittenBody {
    const { directory, env } = this.#deps;
    const shown = asked.showsAges ? withLifetimeAges(links, directory, env.clock.nowMs()) : links;
    return this.#writer.write(shown, asked.format, maxBytesOf(asked));
  }

  /** The answer with all of its body. */
  #whole(asked: AskedLookup, answer: LookupResult, { payload, etag, skipped }: WrittenBody): LookupOutcome {
    const { context, format, showsAges } = asked;
    if (skipped > 0) this.#deps.env.logger.debug("links left out of an answer", { skipped, kind: this.#kind });
    const maxAgeS = showsAges ? Math.min(answer.maxAgeS ?? MAX_AGE_WITH_AGES_S, MAX_AGE_WITH_AGES_S) : answer.maxAgeS;
    // Content-Format on empty answers too: some clients need it to tell them from errors (design section 6).
    const response = {
      code: CODE.CONTENT,
      contentFormat: format,
      etag,
      payload,
      ...(maxAgeS === undefined ? {} : { maxAgeS }),
    };
    const isCacheable = answer.isCacheable === true && !showsAges && context.request.peer.zone === undefined;
    return { kind: "answer", origin: answer.origin ?? "local", etag, response, isCacheable };
  }

  #orRefusal(
    asked: AskedLookup,
    render: () => LookupOutcome | Promise<LookupOutcome>,
  ): LookupOutcome | Promise<LookupOutcome> {
    try {
      const outcome = render();
      return outcome instanceof Promise ? outcome.catch((error: unknown) => tooLarge(asked, error)) : outcome;
    } catch (error) {
      return tooLarge(asked, error);
    }
  }

  /** An observer is told whether the body has changed, and for that it has to be there. */
  #mayBeUnfinished({ context: { request }, format, showsAges }: AskedLookup, { isCacheable }: LookupResult): boolean {
    const { directory, env } = this.#deps;
    if (request.sourceProof === "none" || isCacheable !== true || showsAges) return false;
    const isAnythingDue = env.clock.nowMs() >= (directory.nextExpiryMs() ?? Number.POSITIVE_INFINITY);
    return request.observe === undefined && format === CONTENT_FORMAT.LINK_FORMAT && !isAnythingDue;
  }

  /** Answer while it is written. A long one has the tag of the state that it is written from, not of its bytes. */
  #begin(
    asked: AskedLookup,
    answer: LookupResult,
    links: Iterator<Link | null>,
  ): LookupOutcome | Promise<LookupOutcome> {
    const { changes } = this.#observers;
    const run = (work: Iterator<null>) => takeInTurns(this.#turns, ownerOf(asked), work, () => true);
    const begun = this.#writer.begin(links, { headBytes: HEAD_BYTES, maxBytes: MAX_BODY_BYTES, run });
    return begun instanceof Promise
      ? begun.then((settled) => this.#begun(asked, answer, settled, changes))
      : this.#begun(asked, answer, begun, changes);
  }

  #begun(
    { context }: AskedLookup,
    { maxAgeS }: LookupResult,
    begun: WrittenBody | BegunBody,
    changes: number,
  ): LookupOutcome {
    const isUnfinished = "rest" in begun;
    const etag = isUnfinished ? this.#stateTag(context, changes) : begun.etag;
    const response = {
      code: CODE.CONTENT,
      contentFormat: CONTENT_FORMAT.LINK_FORMAT,
      etag,
      payload: begun.payload,
      ...(isUnfinished ? { rest: begun.rest } : {}),
      ...(maxAgeS === undefined ? {} : { maxAgeS }),
    };
    const isCacheable = !isUnfinished && context.request.peer.zone === undefined;
    return { kind: "answer", origin: "local", etag, response, isCacheable };
  }

  #stateTag({ items, request, scope }: LookupContext, changes: number): Uint8Array {
    const state = [changes, this.#lasting.age, this.#kind, request.peer.zone ?? null, scope, items];
    return this.#writer.tagOf(JSON.stringify(state));
  }

  #respond(asked: AskedLookup, outcome: LookupOutcome, began: LookupBeginning): ServerResponse {
    const { startMs, changes, age } = began;
    if (outcome.kind === "refusal") return this.#refuse(outcome.response, startMs);
    const { request } = asked.context;
    const { etag, origin } = outcome;
    this.#count(origin, startMs);
    let response = outcome.response;
    if (request.etags.some((held) => isSameTag(held, etag))) response = validated(response);
    // Changes are seen in the directory; an answer that was asked of others cannot be observed here.
    // A partial answer changes with what this node knows; one that others gave does not tell when it changes.
    // What changed while it was written will not end it.
    const isPresent = changes === this.#observers.changes && age === this.#lasting.age;
    if (outcome.isCacheable && isPresent && request.observe === undefined) return this.#withLife(asked, response);
    if (request.observe !== 0 || (origin !== "local" && origin !== "partial")) return response;
    return { ...response, observation: this.#observers.observe(asked, etag, changes) };
  }

  #withLife({ context }: AskedLookup, response: ServerResponse): ServerResponse {
    const { criteria } = context.query;
    const onGiven = (): void => this.#deps.onLookup?.(this.#kind, "local", 0);
    return { ...response, trackValidity: () => this.#lasting.begin(criteria, onGiven) };
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

const TOO_MANY: LookupOutcome = {
  kind: "refusal",
  response: {
    ...errorResponse(CODE.UNAVAILABLE, "too many long lookups at once: narrow the query"),
    maxAgeS: RETRY_AFTER_S,
  },
};

/** What is said instead of an answer that is too large. Rethrows everything else. */
function tooLarge({ context }: AskedLookup, error: unknown): LookupOutcome {
  if (!(error instanceof BodyTooLarge)) throw error;
  if (context.request.sourceProof === "none")
    return { kind: "refusal", response: { code: CODE.UNAUTHORIZED, issuesEcho: true } };
  return {
    kind: "refusal",
    response: errorResponse(CODE.UNAVAILABLE, "too much for one answer: narrow the query, or use page and count"),
  };
}

function maxBytesOf({ context }: AskedLookup): number {
  return context.request.sourceProof === "none" ? MAX_UNPROVEN_BODY_BYTES : MAX_BODY_BYTES;
}

/** Whose work a lookup is. */
function ownerOf({ context }: AskedLookup): string {
  return addressHolder(context.request.peer);
}

/** 2.03: what the client holds is what it would get (RFC 7252 section 5.9.1.3). */
function validated({ etag, maxAgeS }: ServerResponse): ServerResponse {
  return { code: CODE.VALID, ...(etag === undefined ? {} : { etag }), ...(maxAgeS === undefined ? {} : { maxAgeS }) };
}
