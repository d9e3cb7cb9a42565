import { isAbsoluteUri, RELATION_ATTRIBUTES } from "@tributary/link-model";
import { AGE_ATTRIBUTES } from "./constants.js";
import { visitPackedLinks } from "./packed-links.js";
import { type Posting, withoutSlot, withSlot } from "./postings.js";
import { SortedChunks } from "./sorted-chunks.js";
import type { Source, StoredRecord } from "./stored-record.js";
import { ownText } from "./string-pool.js";
import { compareText } from "./total-order.js";

/** Names with their values by which a criterion can meet a registration or one of its links. */
export type TokenSet = ReadonlyMap<string, ReadonlySet<string>>;

interface Token {
  readonly name: string;
  readonly value: string;
  posting: Posting;
}

/**
 * Inverted index from (name, value) to the slots of the keys whose shown registration has it, in order of name and value,
 * so that exact values and prefixes take the same search. Values are the strings of the records themselves.
 */
export class AttributeIndex {
  readonly #tokens = new SortedChunks<Token>(compareTokens);

  /** Distinct tokens held. */
  get size(): number {
    return this.#tokens.size;
  }

  /** What `slot` is found by was `before` and is `after`; what is in both is not touched. */
  change(slot: number, before: TokenSet | null, after: TokenSet | null): void {
    if (before !== null) {
      for (const [name, values] of before) {
        const kept = after?.get(name);
        for (const value of values) if (kept === undefined || !kept.has(value)) this.#delete(name, value, slot);
      }
    }
    if (after !== null) {
      for (const [name, values] of after) {
        const known = before?.get(name);
        for (const value of values) if (known === undefined || !known.has(value)) this.#add(name, value, slot);
      }
    }
  }

  exact(name: string, value: string): Posting | undefined {
    return this.#tokens.find({ name, value, posting: 0 })?.posting;
  }

  /** Postings of the values of `name` that begin with `prefix`. */
  *withPrefix(name: string, prefix: string): Generator<Posting> {
    for (const token of this.#tokens.from({ name, value: prefix, posting: 0 })) {
      if (token.name !== name || !token.value.startsWith(prefix)) return;
      yield token.posting;
    }
  }

  #add(name: string, value: string, slot: number): void {
    const token = { name, value, posting: slot };
    const known = this.#tokens.find(token);
    if (known === undefined) this.#tokens.add(token);
    else known.posting = withSlot(known.posting, slot);
  }

  #delete(name: string, value: string, slot: number): void {
    const known = this.#tokens.find({ name, value, posting: slot });
    if (known === undefined) return;
    const rest = withoutSlot(known.posting, slot);
    if (rest === undefined) this.#tokens.delete(known);
    else known.posting = rest;
  }
}

/**
 * The name by which the registration resources of a source are indexed, without the authority, which may change. An attribute
 * could only have the same name by intent, and would only add candidates.
 */
export function hrefTokenName(source: Source): string {
  return `\u0000${source.name}`;
}

/** Everything that the endpoint and link criteria can find a record by, except its `ep`, which the order of keys finds. */
export function tokensOf(record: StoredRecord): TokenSet {
  const tokens = new Map<string, Set<string>>();
  const visit = (name: string, value: string): void => {
    const values = tokens.get(name);
    if (values === undefined) tokens.set(name, new Set([value]));
    else values.add(value);
  };
  const visitValues = (name: string, value: string | null): void => {
    // Criteria of these names never look at attributes: see matching.ts.
    if (name === "href" || name === "provenance") return;
    if (value === null || !RELATION_ATTRIBUTES.has(name) || !value.includes(" ")) visit(name, value ?? "");
    else for (const one of value.split(" ")) if (one !== "") visit(name, ownText(one));
  };
  visit(hrefTokenName(record.source), record.href);
  visit("base", record.base);
  if (record.key.d !== undefined) visit("d", record.key.d);
  for (let at = 0; at < record.attributes.length; at += 2) {
    const name = record.attributes[at] as string;
    if (!AGE_ATTRIBUTES.has(name)) visitValues(name, record.attributes[at + 1] as string | null);
  }
  visitPackedLinks(
    record.links,
    (target) => {
      if (isAbsoluteUri(target)) visit("href", target);
    },
    visitValues,
  );
  return tokens;
}

function compareTokens(a: Token, b: Token): number {
  return a.name === b.name ? compareText(a.value, b.value) : compareText(a.name, b.name);
}
