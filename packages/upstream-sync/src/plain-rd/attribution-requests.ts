import { CODE, type CoapClient } from "@tributary/coap-transport";
import { isPathAbsolute, type Link, originOf, readTolerantly, resolveLink } from "@tributary/link-model";
import { inTurns, type OwnedTurns } from "@tributary/runtime";
import pLimit from "p-limit";
import {
  ASKED_TOGETHER,
  ATTRIBUTION_TRIES,
  LONGEST_ATTRIBUTION_TIMEOUT_MS,
  MAX_ATTRIBUTION_CONCURRENCY,
  SHOWN_EVERY_MS,
  TIMEOUTS_UNTIL_GONE,
} from "../constants.js";
import { assertContent, get, isMereRefusal } from "../discovery/discovery.js";
import { UpstreamError } from "../errors.js";
import { AskingPace } from "./asking-pace.js";
import type { QueryPlan } from "./attribution-query.js";
import { type EndpointEntry, replicatedLink } from "./lookup-documents.js";

/** Takes links of registrations as soon as they are known. */
export type LinksListener = (links: ReadonlyMap<string, readonly Link[]>) => Promise<unknown>;

/** Collaborators of `AttributionRequests`. */
export interface AttributionRequestsDeps {
  readonly client: CoapClient;
  readonly endpointLookup: string;
  readonly resourceLookup: string;
  /** Timeout of a request; longer at an RD that is slow, ms. */
  readonly timeoutMs: number;
  /** Requests at once to begin with. */
  readonly concurrency: number;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
  readonly turns: OwnedTurns;
  /** Whether 4.04 to a query means, at this RD, that nothing matches. Never rejects. */
  readonly isNotFoundNothing: () => Promise<boolean>;
}

/** Requests for the links of registrations, at the pace of the RD. */
export class AttributionRequests {
  readonly #deps: AttributionRequestsDeps;
  readonly #pace: AskingPace;
  #timeoutsInARow = 0;

  constructor(deps: AttributionRequestsDeps) {
    this.#deps = deps;
    const { concurrency, timeoutMs } = deps;
    this.#pace = new AskingPace({
      concurrency,
      maxConcurrency: MAX_ATTRIBUTION_CONCURRENCY,
      timeoutMs,
      maxTimeoutMs: LONGEST_ATTRIBUTION_TIMEOUT_MS,
    });
  }

  /** The links that each query finds. */
  askEach(
    plans: readonly Pick<QueryPlan, "endpoint" | "query">[],
    onSome?: LinksListener,
  ): Promise<Map<string, readonly Link[]>> {
    const { resourceLookup } = this.#deps;
    const ask = async ({ endpoint, query }: Pick<QueryPlan, "endpoint" | "query">): Promise<LinksOfOne | null> => {
      const links = await this.get(resourceLookup, query.items);
      // To an RD without prefixes the star is a character like any other, and nothing has such a name.
      if (links.length === 0 && !query.isExact) return null;
      return [endpoint.href, links.map((link) => replicatedLink(link, resourceLookup))];
    };
    return this.#each(plans, ask, onSome);
  }

  /** The links of each registration resource. */
  readEach(endpoints: readonly EndpointEntry[], onSome?: LinksListener): Promise<Map<string, readonly Link[]>> {
    const origin = originOf(this.#deps.endpointLookup) ?? "";
    // One that is listed by its base has no resource at the RD.
    const atRd = endpoints.filter(({ href }) => isPathAbsolute(href));
    const read = async ({ href, base }: EndpointEntry): Promise<LinksOfOne> => {
      const links = await this.get(`${origin}${href}`, []);
      return [href, links.map((link) => replicatedLink(resolveLink(base, link), base))];
    };
    return this.#each(atRd, read, onSome);
  }

  /** Ask one question for each of `subjects`, at the pace of the RD; those without an answer are missing. */
  async #each<T>(
    subjects: readonly T[],
    ask: (subject: T) => Promise<LinksOfOne | null>,
    onSome?: LinksListener,
  ): Promise<Map<string, readonly Link[]>> {
    const limit = pLimit(this.#pace.concurrency);
    const found = new Map<string, readonly Link[]>();
    const news = new LinksInTime(this.#deps.nowMs, onSome);
    this.#timeoutsInARow = 0;
    const askOne = async (subject: T): Promise<void> => {
      const answer = await this.#patiently(() => ask(subject));
      limit.concurrency = this.#pace.concurrency;
      if (answer === null) return;
      found.set(...answer);
      news.add(...answer);
    };
    // Not all at once: three hundred thousand promises take longer to make than a turn may last.
    for (let start = 0; start < subjects.length; start += ASKED_TOGETHER)
      await Promise.all(subjects.slice(start, start + ASKED_TOGETHER).map((subject) => limit(() => askOne(subject))));
    await news.settled;
    if (this.#timeoutsInARow >= TIMEOUTS_UNTIL_GONE)
      throw new UpstreamError("UPSTREAM_TIMEOUT", "it no longer answers while it is copied");
    return found;
  }

  async #patiently<T>(ask: () => Promise<T | null>): Promise<T | null> {
    for (let tries = 0; tries < ATTRIBUTION_TRIES; tries++) {
      // Nobody is there any more: do not wait for each answer in turn.
      if (this.#deps.signal.aborted || this.#timeoutsInARow >= TIMEOUTS_UNTIL_GONE) return null;
      try {
        const startMs = this.#deps.nowMs();
        const answer = await ask();
        this.#pace.noteResponse(this.#deps.nowMs() - startMs);
        this.#timeoutsInARow = 0;
        return answer;
      } catch (error) {
        // A refusal will be repeated; a lost datagram may not.
        if (isMereRefusal(error)) {
          this.#timeoutsInARow = 0;
          return null;
        }
        this.#pace.noteTimeout();
        this.#timeoutsInARow++;
      }
    }
    return null;
  }

  /** The links of one lookup. @throws {UpstreamError} */
  async get(uri: string, query: readonly string[]): Promise<readonly Link[]> {
    const response = await get(this.#deps.client, uri, query, this.#pace.timeoutMs, this.#deps.signal);
    if (response.code === CODE.NOT_FOUND && query.length > 0 && (await this.#deps.isNotFoundNothing())) return [];
    assertContent(response);
    return (await inTurns(this.#deps.turns, readTolerantly(response.payload), this.#deps.signal))?.links ?? [];
  }
}

type LinksOfOne = [href: string, links: readonly Link[]];

/** Passes links on as they come, all that arrived within SHOWN_EVERY_MS together. */
class LinksInTime {
  readonly #nowMs: () => number;
  readonly #listener: LinksListener | undefined;
  #waiting = new Map<string, readonly Link[]>();
  #lastMs: number;
  /** Resolves when what was passed on has been taken. */
  settled: Promise<unknown> = Promise.resolve();

  constructor(nowMs: () => number, listener: LinksListener | undefined) {
    this.#nowMs = nowMs;
    this.#listener = listener;
    this.#lastMs = nowMs();
  }

  add(href: string, links: readonly Link[]): void {
    const listener = this.#listener;
    if (listener === undefined) return;
    this.#waiting.set(href, links);
    const nowMs = this.#nowMs();
    if (nowMs - this.#lastMs < SHOWN_EVERY_MS) return;
    this.#lastMs = nowMs;
    const arrived = this.#waiting;
    this.#waiting = new Map();
    this.settled = this.settled.then(() => listener(arrived));
  }
}
