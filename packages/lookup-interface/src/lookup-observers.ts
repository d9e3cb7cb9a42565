import type { ObservationSource, ObservedResource, Observer, ServerResponse } from "@tributary/coap-transport";
import type { Criterion } from "@tributary/link-model";
import type { Directory, VisibleChange } from "@tributary/merge-engine";
import { isSameTag } from "./body-hash.js";
import { ObserverIndex } from "./observer-index.js";
import type { LookupContext, LookupResult } from "./types.js";

/** A parsed lookup request. */
export interface AskedLookup {
  readonly context: LookupContext;
  /** Content-Format of the response. */
  readonly format: number;
  readonly showsAges: boolean;
}

/** A response ready to be sent: 2.05 with its entity tag, or an error. */
export type LookupOutcome =
  | { readonly kind: "refusal"; readonly response: ServerResponse }
  | {
      readonly kind: "answer";
      readonly origin: NonNullable<LookupResult["origin"]>;
      readonly etag: Uint8Array;
      readonly response: ServerResponse;
      /** Only a change of the directory that concerns the lookup can change this response. */
      readonly isCacheable: boolean;
    };

export type PerformLookup = (asked: AskedLookup) => LookupOutcome | Promise<LookupOutcome>;

/**
 * Observers of lookups (RFC 7641). A change of the directory wakes those whose query it can concern; they answer again and
 * notify when the body differs from the one sent last. Renewals alone concern nobody. Listens as long as the directory lives.
 */
export class LookupObservers {
  readonly #perform: PerformLookup;
  readonly #index = new ObserverIndex<ObserverGroup>();
  readonly #groups = new Map<string, ObserverGroup>();
  /** Changes of the directory so far: tells whether an answer may be out of date. */
  #changes = 0;

  constructor(deps: { readonly directory: Directory; readonly perform: PerformLookup }) {
    this.#perform = deps.perform;
    deps.directory.on("visible", (change) => this.#onChange(change));
  }

  /** Number of changes of what lookups show. */
  get changes(): number {
    return this.#changes;
  }

  /** Something else has changed that concerns these lookups. */
  wake(concerns: (context: LookupContext) => boolean): void {
    this.#changes++;
    for (const group of this.#groups.values())
      if (concerns(group.context)) for (const client of group.members) client.wake();
  }

  /** Accept an observer of `asked`, who is being sent the answer with `etag`, which was begun after the change `answeredAt`. */
  observe(asked: AskedLookup, etag: Uint8Array, answeredAt: number): ObservationSource {
    return {
      attach: (observer) => {
        const group = this.#join(asked);
        const client = new ObservingClient(observer, etag, {
          answer: () => group.answer(this.#changes),
          leave: () => this.#leave(group, client),
        });
        group.members.add(client);
        if (answeredAt !== this.#changes) client.wake();
        return client;
      },
    };
  }

  #onChange(change: VisibleChange): void {
    if (isMereRenewal(change)) return;
    this.#changes++;
    if (this.#groups.size === 0) return;
    for (const registration of [change.before, change.after]) {
      if (registration === undefined) continue;
      for (const group of this.#index.concernedBy(registration)) for (const client of group.members) client.wake();
    }
  }

  #join(asked: AskedLookup): ObserverGroup {
    const key = groupKey(asked);
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const group = new ObserverGroup(key, asked, this.#perform);
    this.#groups.set(key, group);
    this.#index.add(group);
    return group;
  }

  #leave(group: ObserverGroup, client: ObservingClient): void {
    group.members.delete(client);
    if (group.members.size > 0) return;
    this.#groups.delete(group.key);
    this.#index.delete(group);
  }
}

/** What is shown is the same as before, only its times are not. Pure. */
export function isMereRenewal({ cause, before, after }: VisibleChange): boolean {
  return cause === "renewed" && before !== undefined && before.shownHref === after?.shownHref;
}

/** Returns a key that is equal for lookups whose responses are always equal. */
function groupKey({ context, format, showsAges }: AskedLookup): string {
  const { query, scope, items, request } = context;
  return JSON.stringify([query, scope, items, request.peer.zone ?? null, format, showsAges]);
}

/** Observers of the same lookup: one response is made for all of them. */
class ObserverGroup {
  readonly key: string;
  readonly criteria: readonly Criterion[];
  readonly context: LookupContext;
  readonly members = new Set<ObservingClient>();
  readonly #asked: AskedLookup;
  readonly #perform: PerformLookup;
  #last: { readonly at: number; readonly outcome: LookupOutcome | Promise<LookupOutcome> } | null = null;

  constructor(key: string, asked: AskedLookup, perform: PerformLookup) {
    this.key = key;
    this.context = asked.context;
    this.criteria = asked.context.query.criteria;
    this.#asked = asked;
    this.#perform = perform;
  }

  /** The answer after the change with number `at`. Ages grow by themselves, so such answers are made each time. */
  answer(at: number): LookupOutcome | Promise<LookupOutcome> {
    if (this.#last?.at === at) return this.#last.outcome;
    const outcome = this.#perform(this.#asked);
    this.#last = this.members.size > 1 && !this.#asked.showsAges ? { at, outcome } : null;
    return outcome;
  }
}

interface GroupMembership {
  answer(): LookupOutcome | Promise<LookupOutcome>;
  leave(): void;
}

class ObservingClient implements ObservedResource {
  readonly #observer: Observer;
  readonly #membership: GroupMembership;
  #sentTag: Uint8Array;

  constructor(observer: Observer, sentTag: Uint8Array, membership: GroupMembership) {
    this.#observer = observer;
    this.#sentTag = sentTag;
    this.#membership = membership;
  }

  wake(): void {
    this.#observer.wake();
  }

  next(): ServerResponse | null | Promise<ServerResponse | null> {
    const outcome = this.#membership.answer();
    return outcome instanceof Promise ? outcome.then((settled) => this.#news(settled)) : this.#news(outcome);
  }

  closed(): void {
    this.#membership.leave();
  }

  #news(outcome: LookupOutcome): ServerResponse | null {
    if (outcome.kind === "refusal") return outcome.response; // RFC 7641 section 4.2: the last notification
    switch (outcome.origin) {
      case "local":
      // Some upstream was never reached; what is known of the others goes on changing.
      case "partial":
        if (isSameTag(outcome.etag, this.#sentTag)) return null;
        this.#sentTag = outcome.etag;
        return outcome.response;
      case "cached":
      case "forwarded":
        // From now on changes happen where they are not seen: an answer without Observe ends it (RFC 7641 section 4.1).
        this.#observer.end(outcome.response);
        return null;
      default:
        return outcome.origin satisfies never;
    }
  }
}
