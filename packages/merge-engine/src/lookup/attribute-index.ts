import { isAbsoluteUri, RELATION_ATTRIBUTES } from "@tributary/link-model";
import { AGE_ATTRIBUTES } from "../constants.js";
import { visitPackedLinks } from "../records/packed-links.js";
import { SortedChunks } from "../records/sorted-chunks.js";
import type { StoredRecord } from "../records/stored-record.js";
import { ownText } from "../records/string-pool.js";
import { type Posting, withoutSlot, withSlot } from "./postings.js";

/** By what criteria can meet a registration or one of its links: name, value, name, value… Some may come twice. */
export type TokenList = readonly string[];

/** So many of the last entries of a list are looked at for the same token, two for each. */
const RECENT = 32;

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
  change(slot: number, before: TokenList | null, after: TokenList | null): void {
    const isKept = before === null || after === null ? isNever : membership(after);
    const isKnown = before === null || after === null ? isNever : membership(before);
    for (let at = 0; before !== null && at < before.length; at += 2) {
      const [name, value] = [before[at] as string, before[at + 1] as string];
      if (!isKept(name, value)) this.#delete(name, value, slot);
    }
    for (let at = 0; after !== null && at < after.length; at += 2) {
      const [name, value] = [after[at] as string, after[at + 1] as string];
      if (!isKnown(name, value)) this.#add(name, value, slot);
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
export function hrefTokenName(source: string): string {
  return `\u0000${source}`;
}

/** Everything that the endpoint and link criteria can find a record by, except its `ep`, which the order of keys finds. */
export function tokensOf(record: StoredRecord): TokenList {
  const tokens: string[] = [];
  addToken(tokens, record.source.hrefToken, record.href);
  addToken(tokens, "base", record.base);
  if (record.key.d !== undefined) addToken(tokens, "d", record.key.d);
  for (let at = 0; at < record.attributes.length; at += 2) {
    const name = record.attributes[at] as string;
    if (!AGE_ATTRIBUTES.has(name)) addAttribute(tokens, name, record.attributes[at + 1] as string | null);
  }
  visitPackedLinks(
    record.links,
    (target) => {
      if (isAbsoluteUri(target)) addToken(tokens, "href", target);
    },
    (name, value) => addAttribute(tokens, name, value),
  );
  return tokens;
}

function addAttribute(tokens: string[], name: string, value: string | null): void {
  // Criteria of these names never look at attributes: see matching.ts.
  if (name === "href" || name === "provenance") return;
  if (value === null || !RELATION_ATTRIBUTES.has(name) || !value.includes(" ")) addToken(tokens, name, value ?? "");
  else for (const one of value.split(" ")) if (one !== "") addToken(tokens, name, ownText(one));
}

/** Links of one registration are often alike: what was just said is not said again. The index takes it twice all the same. */
function addToken(tokens: string[], name: string, value: string): void {
  const { length } = tokens;
  for (let at = Math.max(0, length - RECENT); at < length; at += 2) {
    if (tokens[at] === name && tokens[at + 1] === value) return;
  }
  tokens.push(name, value);
}

/** Asks whether a list has a token. */
function membership(tokens: TokenList): (name: string, value: string) => boolean {
  const byName = new Map<string, Set<string>>();
  for (let at = 0; at < tokens.length; at += 2) {
    const [name, value] = [tokens[at] as string, tokens[at + 1] as string];
    const values = byName.get(name);
    if (values === undefined) byName.set(name, new Set([value]));
    else values.add(value);
  }
  return (name, value) => byName.get(name)?.has(value) ?? false;
}

const isNever = (): boolean => false;

function isSmaller(one: Token, other: Token): boolean {
  return one.value < other.value;
}
