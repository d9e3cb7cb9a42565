import type { Scheme } from "./scenario.ts";

/** A mistake that somebody might make: one place in the sources, and what would stand there. */
export interface PlantedBug {
  readonly name: string;
  /** Below `packages/`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** What has to be spoken for it to show. Default `coap`. */
  readonly scheme?: Scheme;
}

/** Mistakes in the merge rules, in the feed, in the clocks and where RDs are asked, each of which the simulation has to notice. */
export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: "the registration renewed first wins",
    file: "merge-engine/src/records/total-order.ts",
    find: "b.orderMs - a.orderMs",
    replace: "a.orderMs - b.orderMs",
  },
  {
    name: "a superseded registration never comes back",
    file: "merge-engine/src/registration-book.ts",
    find: "const winner = firstLive(key.records, nowMs);",
    replace: "const winner = changed !== undefined && !isStored(changed) ? null : firstLive(key.records, nowMs);",
  },
  {
    name: "what an unreachable RD held is shown for ever",
    file: "merge-engine/src/records/stored-record.ts",
    find: "(this.isExact || !this.source.isConnected)",
    replace: "this.isExact && this.source.isConnected",
  },
  {
    name: "the feed does not publish removals",
    file: "replication/src/publisher/change-log.ts",
    find: "return builder.remove(node.href, isCertain);",
    replace: "return isCertain || builder.remove(node.href, isCertain);",
  },
  {
    name: "the feed does not publish renewals",
    file: "replication/src/publisher/change-log.ts",
    find: "return builder.renew(node.href, reportedRenewal(registration, source.nowMs, source.wallClock));",
    replace: "return true;",
  },
  {
    name: "a lost notification goes unnoticed",
    file: "replication/src/reader/sparse-document.ts",
    find: 'if (!isFresh && (heldText === null || expected !== heldText)) return { kind: "gap", expected: String(expected) };',
    replace: 'if (!isFresh && expected !== heldText) (operations[0] as { value: unknown }).value = heldText ?? "";',
  },
  {
    name: "a renewal that took long to arrive counts as new",
    file: "replication/src/reader/feed-reader.ts",
    find: "const at = { receivedAtMs: this.#clock.toLocalMs(reading.ms) };",
    replace: "const at = { receivedAtMs };",
  },
  {
    name: "an upstream is not asked again after it was lost",
    file: "upstream-sync/src/upstream.ts",
    find: '() => this.#input({ kind: "retry" }));',
    replace: "() => undefined);",
  },
  {
    name: "a connection that is over is used again",
    file: "coap-transport/src/tcp/client.ts",
    find: "          this.#forget(key, entry());",
    replace: "",
    scheme: "coap+tcp",
  },
  {
    name: "each proxy goes by its own estimate of the clock of an RD",
    file: "merge-engine/src/records/stored-record.ts",
    find: "if (leadMs === null || Number.isNaN(this.stampMs)) return",
    replace: "if (leadMs !== Number.NaN) return",
  },
  {
    name: "a tie goes to the smaller source name, which differs between proxies",
    file: "merge-engine/src/records/total-order.ts",
    find: `    comparePlaces(a, b) ||
    compareText(a.source.name, b.source.name) ||`,
    replace: "compareText(a.source.name, b.source.name) ||",
  },
  {
    name: "an RD with a slow clock does not follow federation time",
    file: "merge-engine/src/federation-clock.ts",
    find: "    this.#leadMs = leadMs;\n    this.#notify(false, nowMs);",
    replace: "",
  },
  {
    name: "links of a superseded registration are shown where RDs are asked",
    file: "lookup-server/src/union.ts",
    find: "if (endpoint !== undefined && !isWinner(endpoint, winners)) return;",
    replace: "",
  },
  {
    // Either of the two says it: a Tributary node is asked with both.
    name: "Hop-Limit 1 and paths in criteria are ignored",
    file: "lookup-interface/src/lookup-scope.ts",
    find: 'if (hopLimit === HERE_ONLY_HOP_LIMIT || criteria.some(namesOwnRegistration)) return "here";',
    replace: "",
  },
  {
    name: "an RD that is lost wins a tie",
    file: "merge-engine/src/records/total-order.ts",
    find: "    lost ??= record;",
    replace: "    return record;",
  },
  {
    name: "what is left out does not make answers partial",
    file: "upstream-sync/src/upstream.ts",
    find: "lossyCoverage: this.#leftOut.isEmpty ? [] : coverage,",
    replace: "lossyCoverage: [],",
  },
];
