import { CODE, errorResponse, type ServerRequest, type ServerResponse } from "@tributary/coap-transport";
import type { Criterion } from "@tributary/link-model";
import { lookupScope } from "@tributary/lookup-interface";
import type { LookupInterface } from "@tributary/merge-engine";
import { feedSelector, isFeedSelector } from "@tributary/replication";
import type { FeedPublisher, Follower } from "@tributary/resource-directory";

/**
 * The feeds of a node behind one interface: its own registrations (of an RD), and everything that its lookups show (of a lookup proxy,
 * for proxies above it). The second needs memory and is only opened by its first request.
 */
export class NodeFeeds implements FeedPublisher {
  readonly #own: FeedPublisher | null;
  readonly #openUnion: (() => FeedPublisher) | null;
  #union: FeedPublisher | null = null;

  constructor(own: FeedPublisher | null, openUnion: (() => FeedPublisher) | null) {
    this.#own = own;
    this.#openUnion = openUnion;
  }

  answer(kind: LookupInterface, criteria: readonly Criterion[], request: ServerRequest): ServerResponse {
    const isAll = (criterion: Criterion) => isFeedSelector(criterion, kind, "all");
    if (this.#openUnion !== null && criteria.some(isAll) && lookupScope(request, criteria) !== "here") {
      this.#union ??= this.#openUnion();
      return this.#union.answer(kind, criteria, request);
    }
    if (this.#own !== null) return this.#own.answer(kind, criteria, request);
    return errorResponse(
      CODE.NOT_ACCEPTABLE,
      `this node is no RD and has no registrations of its own; to follow its lookups, ask with ${feedSelector(kind, "all")}`,
    );
  }

  followers(): readonly Follower[] {
    return [...(this.#own?.followers() ?? []), ...(this.#union?.followers() ?? [])];
  }

  resume(): void {
    this.#own?.resume();
  }

  close(): void {
    this.#own?.close();
    this.#union?.close();
  }
}
