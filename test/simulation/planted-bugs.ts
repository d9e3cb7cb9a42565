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

/** Mistakes in the merge rules and in the feed, each of which the simulation has to notice. */
export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: "the registration renewed first wins",
    file: "merge-engine/src/total-order.ts",
    find: "b.renewedAtMs - a.renewedAtMs",
    replace: "a.renewedAtMs - b.renewedAtMs",
  },
  {
    name: "a superseded registration never comes back",
    file: "merge-engine/src/registration-book.ts",
    find: "const winner = firstLive(key.records, nowMs);",
    replace: 'const winner = told.kind === "removed" ? null : firstLive(key.records, nowMs);',
  },
  {
    name: "what an unreachable RD held is shown for ever",
    file: "merge-engine/src/stored-record.ts",
    find: "(this.isExact || !this.source.isConnected)",
    replace: "this.isExact && this.source.isConnected",
  },
  {
    name: "the feed does not tell removals",
    file: "replication/src/change-log.ts",
    find: "return builder.remove(node.href, isCertain);",
    replace: "return isCertain || builder.remove(node.href, isCertain);",
  },
  {
    name: "the feed does not tell renewals",
    file: "replication/src/change-log.ts",
    find: "return builder.renew(node.href, lifetimeAgeS(registration, source.nowMs));",
    replace: "return true;",
  },
  {
    name: "a lost notification goes unnoticed",
    file: "replication/src/sparse-document.ts",
    find: 'if (first.value !== heldText) return { kind: "gap", expected: String(first.value) };',
    replace: "if (first.value !== heldText) (operations[0] as { value: unknown }).value = heldText;",
  },
  {
    name: "a renewal that took long to arrive counts as new",
    file: "replication/src/feed-reader.ts",
    find: "return this.#clock.toLocalMs(reading.ms);",
    replace: "return receivedAtMs;",
  },
  {
    name: "an upstream is not asked again after it was lost",
    file: "upstream-sync/src/upstream.ts",
    find: '() => this.#input({ kind: "retry" }));',
    replace: "() => undefined);",
  },
  {
    name: "a connection that is over is used again",
    file: "coap-transport/src/tcp-client.ts",
    find: "              forget(key, entry());",
    replace: "",
    scheme: "coap+tcp",
  },
];
