import {
  addressHolder,
  CODE,
  CONTENT_FORMAT,
  errorResponse,
  TransportError,
  type UnfinishedBody,
} from "@tributary/coap-transport";
import type { Link } from "@tributary/link-model";
import { type Directory, MergeError } from "@tributary/merge-engine";
import { type Environment, type Turns, turnsOf } from "@tributary/runtime";
import { BegunBodies } from "./begun-bodies.js";
import {
  BROAD_HEAD_BYTES,
  HEAD_BYTES,
  LONG_HEAD_BYTES,
  MAX_AGE_WITH_AGES_S,
  MAX_BODY_BYTES,
  MAX_UNPROVEN_BODY_BYTES,
  MAX_WAITING_LOOKUPS,
  MIN_STEPPED,
  RETRY_AFTER_S,
} from "./constants.js";
import { withLifetimeAge, withLifetimeAges } from "./lifetime-age.js";
import type { AskedLookup, LookupOutcome } from "./lookup-observers.js";
import { type BegunBody, BodyTooLarge, type BodyWriter, isBegun, type WrittenBody } from "./lookup-rendering.js";
import { takeInTurns } from "./lookup-steps.js";
import type { LookupContext, LookupRefusal, LookupResult } from "./types.js";

export interface LookupRendererDeps {
  readonly directory: Directory;
  readonly env: Environment;
  readonly writer: BodyWriter;
  /** A number that changes whenever results of lookups may change. */
  readonly state: () => string;
}

/** Turns results of lookups into responses, in several turns of the event loop where that takes long. */
export class LookupRenderer {
  readonly #deps: LookupRendererDeps;
  readonly #turns: Turns;
  readonly #begunBodies = new BegunBodies();
  /** Lookups that take several turns. */
  #waiting = 0;

  constructor(deps: LookupRendererDeps) {
    this.#deps = deps;
    this.#turns = turnsOf(deps.env.clock);
  }

  render(asked: AskedLookup, result: LookupResult | LookupRefusal): LookupOutcome | Promise<LookupOutcome> {
    if (!("links" in result)) return { kind: "refusal", response: errorResponse(result.code, result.message) };
    const text = asked.format === CONTENT_FORMAT.LINK_FORMAT && !asked.showsAges ? result.text?.() : undefined;
    if (text !== undefined && text !== null)
      return orRefusal(asked, () => this.#whole(asked, result, this.#deps.writer.encode(text, maxBytesOf(asked))));
    const { steps } = result;
    if (steps !== undefined && this.#isLong(result)) return this.#renderInTurns(asked, result, steps);
    return orRefusal(asked, () => {
      if (this.#mayBeUnfinished(asked, result)) return this.#begin(asked, result, () => result.links);
      return this.#whole(asked, result, this.#write(asked, result.links));
    });
  }

  /** Whether it may take long: a lookup may examine very much to find little. */
  #isLong({ links }: LookupResult): boolean {
    return this.#deps.directory.counts().total >= MIN_STEPPED || (Array.isArray(links) && links.length >= MIN_STEPPED);
  }

  #renderInTurns(
    asked: AskedLookup,
    result: LookupResult,
    steps: () => Iterable<Link | null>,
  ): LookupOutcome | Promise<LookupOutcome> {
    if (this.#waiting >= MAX_WAITING_LOOKUPS) return TOO_MANY;
    const outcome = orRefusal(asked, () =>
      this.#mayBeUnfinished(asked, result)
        ? this.#begin(asked, result, steps)
        : this.#writeInTurns(asked, result, steps()[Symbol.iterator]()),
    );
    if (!(outcome instanceof Promise)) return outcome;
    this.#waiting++;
    return outcome.finally(() => {
      this.#waiting--;
    });
  }

  #writeInTurns(
    asked: AskedLookup,
    result: LookupResult,
    steps: Iterator<Link | null>,
  ): LookupOutcome | Promise<LookupOutcome> {
    const { showsAges, format } = asked;
    const { directory, env, writer } = this.#deps;
    const body = writer.start(format, maxBytesOf(asked));
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
    const whole = (): LookupOutcome => this.#whole(asked, result, written as WrittenBody);
    return rest === undefined ? whole() : rest.then(whole);
  }

  #write(asked: AskedLookup, links: Iterable<Link>): WrittenBody {
    const { directory, env, writer } = this.#deps;
    const shown = asked.showsAges ? withLifetimeAges(links, directory, env.clock.nowMs()) : links;
    return writer.write(shown, asked.format, maxBytesOf(asked));
  }

  /** The response with a complete body. */
  #whole(asked: AskedLookup, result: LookupResult, { payload, etag, skipped }: WrittenBody): LookupOutcome {
    const { context, format, showsAges } = asked;
    if (skipped > 0)
      this.#deps.env.logger.debug("links left out of a response: the format cannot express them", {
        skipped,
        kind: context.kind,
      });
    const maxAgeS = showsAges ? Math.min(result.maxAgeS ?? MAX_AGE_WITH_AGES_S, MAX_AGE_WITH_AGES_S) : result.maxAgeS;
    // Content-Format on empty responses too: some clients need it to tell them from errors (design section 6).
    const response = {
      code: CODE.CONTENT,
      contentFormat: format,
      etag,
      payload,
      ...(maxAgeS === undefined ? {} : { maxAgeS }),
    };
    const isCacheable = result.isCacheable === true && !showsAges && context.request.peer.zone === undefined;
    return { kind: "answer", origin: result.origin ?? "local", etag, response, isCacheable };
  }

  /** Whether the response may begin before its body is complete. An observer is notified if the body changes, so it needs all of it. */
  #mayBeUnfinished({ context: { request }, format, showsAges }: AskedLookup, { isCacheable }: LookupResult): boolean {
    const { directory, env } = this.#deps;
    if (request.sourceProof === "none" || isCacheable !== true || showsAges) return false;
    const isAnythingDue = env.clock.nowMs() >= (directory.nextExpiryMs() ?? Number.POSITIVE_INFINITY);
    return request.observe === undefined && format === CONTENT_FORMAT.LINK_FORMAT && !isAnythingDue;
  }

  /** A response whose body is written as it is sent. The tag of a long one stands for the state of the directory, not for its bytes. */
  #begin(
    asked: AskedLookup,
    result: LookupResult,
    links: () => Iterable<Link | null>,
  ): LookupOutcome | Promise<LookupOutcome> {
    const { writer } = this.#deps;
    const { context } = asked;
    const state = this.#deps.state();
    const lookup = lookupName(context);
    const known = this.#begunBodies.get(lookup, state);
    if (known !== undefined) return this.#begun(asked, result, known, state);
    const run = (work: Iterator<null>) => takeInTurns(this.#turns, ownerOf(asked), work, () => true);
    const shortBytes = context.query.count === undefined ? BROAD_HEAD_BYTES : HEAD_BYTES;
    const headBytes = this.#begunBodies.isLong(lookup) ? LONG_HEAD_BYTES : shortBytes;
    const begun = writer.begin(links()[Symbol.iterator](), { headBytes, maxBytes: MAX_BODY_BYTES, run });
    const settle = (body: WrittenBody | BegunBody): LookupOutcome => {
      if (isBegun(body) && state === this.#deps.state()) this.#begunBodies.keep(lookup, state, body);
      return this.#begun(asked, result, body, state);
    };
    return begun instanceof Promise ? begun.then(settle) : settle(begun);
  }

  #begun(
    { context }: AskedLookup,
    { maxAgeS }: LookupResult,
    body: WrittenBody | BegunBody,
    state: string,
  ): LookupOutcome {
    const isUnfinished = isBegun(body);
    const etag = isUnfinished ? this.#deps.writer.tagOf(`${state} ${lookupName(context)}`) : body.etag;
    const response = {
      code: CODE.CONTENT,
      contentFormat: CONTENT_FORMAT.LINK_FORMAT,
      etag,
      payload: body.payload,
      ...(isUnfinished ? { rest: this.#continued(body) } : {}),
      ...(maxAgeS === undefined ? {} : { maxAgeS }),
    };
    const isCacheable = !isUnfinished && context.request.peer.zone === undefined;
    return { kind: "answer", origin: "local", etag, response, isCacheable };
  }

  /** The rest of a body, which is superseded when a source that the lookup reads is closed. */
  #continued(body: BegunBody): UnfinishedBody {
    const fail = (error: unknown): never => {
      if (!isSourceClosed(error)) throw error;
      this.#begunBodies.drop(body);
      throw new TransportError("SUPERSEDED", "what the lookup reads has been replaced", { cause: error });
    };
    return {
      upTo: (bytes) => {
        try {
          const written = body.rest.upTo(bytes);
          if (written instanceof Promise) return written.finally(() => this.#begunBodies.trim()).catch(fail);
          this.#begunBodies.trim();
          return written;
        } catch (error) {
          return fail(error);
        }
      },
    };
  }
}

/** Whether a lookup failed because a source went meanwhile; begun again, it does not see it. */
export function isSourceClosed(error: unknown): boolean {
  return error instanceof MergeError && error.code === "SOURCE_CLOSED";
}

function orRefusal(
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

const TOO_MANY: LookupOutcome = {
  kind: "refusal",
  response: {
    ...errorResponse(CODE.UNAVAILABLE, "too many long lookups at once: narrow the query"),
    maxAgeS: RETRY_AFTER_S,
  },
};

/** The refusal of a response that is too large. Rethrows other errors. */
function tooLarge({ context }: AskedLookup, error: unknown): LookupOutcome {
  if (!(error instanceof BodyTooLarge)) throw error;
  if (context.request.sourceProof === "none")
    return { kind: "refusal", response: { code: CODE.UNAUTHORIZED, issuesEcho: true } };
  return {
    kind: "refusal",
    response: errorResponse(CODE.UNAVAILABLE, "too much for one response: narrow the query, or use page and count"),
  };
}

function maxBytesOf({ context }: AskedLookup): number {
  return context.request.sourceProof === "none" ? MAX_UNPROVEN_BODY_BYTES : MAX_BODY_BYTES;
}

/** The owner of the work of a lookup. */
function ownerOf({ context }: AskedLookup): string {
  return addressHolder(context.request.peer);
}

/** Equal for lookups with equal results in one state of the directory. */
function lookupName({ kind, items, query, request, scope }: LookupContext): string {
  return JSON.stringify([kind, request.peer.zone ?? null, scope, items, query.criteria]);
}
