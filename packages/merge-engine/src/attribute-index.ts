import { isAbsoluteUri, RELATION_ATTRIBUTES } from "@tributary/link-model";
import { AGE_ATTRIBUTES } from "./constants.js";
import { visitPackedLinks } from "./packed-links.js";
import { type Posting, withoutSlot, withSlot } from "./postings.js";
import { SortedChunks } from "./sorted-chunks.js";
import type { Source, StoredRecord } from "./stored-record.js";
import { ownText } from "./string-pool.js";

/** Names with their values by which a criterion can meet a registration or one of its links. */
export type TokenSet = ReadonlyMap<string, ReadonlySet<string>>;

interface Token {
  readonly value: string;
  posting: Posting;
}

/**
 * Inverted index from (name, value) to the slots of the keys whose shown registration has it: the values of each name in order,
 * so that exact values and prefixes take the same search. Values are the strings of the records themselves.
 */
export class AttributeIndex {
  readonly #names = new Map<string, SortedChunks<Token>>();

  /** Distinct tokens held. */
  get size(): number {
    let size = 0;
    for (const tokens of this.#names.values()) size += tokens.size;
    return size;
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
    return this.#names.get(name)?.find({ value, posting: 0 })?.posting;
  }

  /** Postings of the values of `name` that begin with `prefix`. */
  *withPrefix(name: string, prefix: string): Generator<Posting> {
    const tokens = this.#names.get(name);
    if (tokens === undefined) return;
    for (const token of tokens.from({ value: prefix, posting: 0 })) {
      if (!token.value.startsWith(prefix)) return;
      yield token.posting;
    }
  }

  #add(name: string, value: string, slot: number): void {
    const tokens = this.#names.get(name) ?? new SortedChunks<Token>(isSmaller);
    if (tokens.size === 0) this.#names.set(ownText(name), tokens);
    const token = { value, posting: slot };
    const known = tokens.findOrAdd(token);
    if (known !== token) known.posting = withSlot(known.posting, slot);
  }

  #delete(name: string, value: string, slot: number): void {
    const tokens = this.#names.get(name);
    const known = tokens?.find({ value, posting: slot });
    if (tokens === undefined || known === undefined) return;
    const rest = withoutSlot(known.posting, slot);
    if (rest !== undefined) {
      known.posting = rest;
      return;
    }
    tokens.delete(known);
    if (tokens.size === 0) this.#names.delete(name);
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

function isSmaller(one: Token, other: Token): boolean {
  return one.value < other.value;
}
