import { type Criterion, RELATION_ATTRIBUTES } from "@tributary/link-model";
import { ENDPOINT_RESOURCE_TYPE } from "./matching.js";
import { SortedChunks } from "./sorted-chunks.js";
import { compareText } from "./total-order.js";
import type { SourcedRegistration } from "./types.js";

/** Slots of the keys that have a token: one number while there is only one, which is the common case. */
type Posting = number | Set<number>;

/** How many keys a criterion selects at most, and which. */
export interface Selection {
  readonly estimate: number;
  slots(): Iterable<number>;
}

/**
 * Inverted index from (attribute name, value) to the keys whose shown registration has it. Exact values are found by a
 * 30-bit hash, so that no text is kept; a collision only adds candidates, which the caller verifies. Prefixes use a sorted
 * list of the values of one name, made when the first prefix of that name is asked for.
 */
export class AttributeIndex {
  readonly #postings = new Map<number, Posting>();
  readonly #sorted = new Map<string, SortedValues>();

  add(slot: number, registration: SourcedRegistration): void {
    forEachToken(registration, (name, value) => {
      const hash = hashToken(name, value);
      const posting = this.#postings.get(hash);
      if (posting === undefined) this.#postings.set(hash, slot);
      else if (typeof posting !== "number") posting.add(slot);
      else if (posting !== slot) this.#postings.set(hash, new Set([posting, slot]));
      this.#sorted.get(name)?.add(value);
    });
  }

  delete(slot: number, registration: SourcedRegistration): void {
    forEachToken(registration, (name, value) => {
      const hash = hashToken(name, value);
      const posting = this.#postings.get(hash);
      if (posting === slot) this.#postings.delete(hash);
      else if (typeof posting === "object") {
        posting.delete(slot);
        if (posting.size === 0) this.#postings.delete(hash);
      }
      this.#sorted.get(name)?.delete(value);
    });
  }

  /**
   * Keys that can meet a criterion, or null when the index cannot narrow it down. `everything` is walked once, to make the
   * sorted list of a name, when that name is first asked for by prefix.
   */
  select(criterion: Criterion, everything: () => Iterable<SourcedRegistration>, enough: number): Selection | null {
    if (criterion.name === "rt" && ENDPOINT_RESOURCE_TYPE.startsWith(criterion.value)) {
      if (criterion.isPrefix || criterion.value === ENDPOINT_RESOURCE_TYPE) return null;
    }
    if (!criterion.isPrefix) {
      const posting = this.#postings.get(hashToken(criterion.name, criterion.value));
      return { estimate: sizeOf(posting), slots: () => slotsOf(posting) };
    }
    return this.#selectPrefix(criterion, everything, enough);
  }

  #selectPrefix(
    { name, value: prefix }: Criterion,
    everything: () => Iterable<SourcedRegistration>,
    enough: number,
  ): Selection | null {
    const values = this.#sortedValues(name, everything);
    const slots = new Set<number>();
    for (const value of values.withPrefix(prefix)) {
      for (const slot of slotsOf(this.#postings.get(hashToken(name, value)))) slots.add(slot);
      if (slots.size > enough) return null;
    }
    return { estimate: slots.size, slots: () => slots };
  }

  #sortedValues(name: string, everything: () => Iterable<SourcedRegistration>): SortedValues {
    const known = this.#sorted.get(name);
    if (known !== undefined) return known;
    const values = new SortedValues();
    for (const registration of everything()) {
      forEachToken(registration, (tokenName, value) => {
        if (tokenName === name) values.add(value);
      });
    }
    // Names come from clients: those that no registration has are not kept.
    if (values.size > 0) this.#sorted.set(name, values);
    return values;
  }
}

/** Distinct values of one attribute name in order, counted. */
class SortedValues {
  readonly #counts = new Map<string, number>();
  readonly #order = new SortedChunks<string>(compareText);

  get size(): number {
    return this.#counts.size;
  }

  add(value: string): void {
    const count = this.#counts.get(value) ?? 0;
    this.#counts.set(value, count + 1);
    if (count === 0) this.#order.add(value);
  }

  delete(value: string): void {
    const count = this.#counts.get(value) ?? 0;
    if (count > 1) {
      this.#counts.set(value, count - 1);
      return;
    }
    this.#counts.delete(value);
    this.#order.delete(value);
  }

  *withPrefix(prefix: string): Generator<string> {
    for (const value of this.#order.from(prefix)) {
      if (!value.startsWith(prefix)) return;
      yield value;
    }
  }
}

function sizeOf(posting: Posting | undefined): number {
  return posting === undefined ? 0 : typeof posting === "number" ? 1 : posting.size;
}

function slotsOf(posting: Posting | undefined): Iterable<number> {
  return posting === undefined ? [] : typeof posting === "number" ? [posting] : posting;
}

/** Every (name, value) by which a criterion can meet a registration or one of its links. */
function forEachToken(registration: SourcedRegistration, visit: (name: string, value: string) => void): void {
  visit("ep", registration.ep);
  if (registration.d !== undefined) visit("d", registration.d);
  visit("base", registration.base);
  visit("href", registration.shownHref);
  visit("provenance", registration.shownHref);
  for (const [name, value] of registration.attributes) visitValues(name, value, visit);
  for (const link of registration.links) {
    visit("href", link.target);
    for (const [name, value] of link.attributes) visitValues(name, value, visit);
  }
}

function visitValues(name: string, value: string | null, visit: (name: string, value: string) => void): void {
  if (value === null || !RELATION_ATTRIBUTES.has(name) || !value.includes(" ")) {
    visit(name, value ?? "");
    return;
  }
  for (const one of value.split(" ")) if (one !== "") visit(name, one);
}

/** FNV-1a over name and value, folded to the 30 bits that a runtime keeps unboxed. */
function hashToken(name: string, value: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ 0x1f, 0x01000193);
  for (let at = 0; at < value.length; at++) hash = Math.imul(hash ^ value.charCodeAt(at), 0x01000193);
  return (hash ^ (hash >>> 15)) & 0x3fffffff;
}
