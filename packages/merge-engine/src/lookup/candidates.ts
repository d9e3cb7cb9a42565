import type { Criterion } from "@tributary/link-model";
import { ENDPOINT_RESOURCE_TYPE, KEYS_PER_LOOK } from "../constants.js";
import type { SortedChunks } from "../records/sorted-chunks.js";
import type { KeyState, Source } from "../records/stored-record.js";
import type { AttributeIndex } from "./attribute-index.js";
import type { Pace } from "./pace.js";
import { forEachSlot, type Posting, postingSize } from "./postings.js";

/** Keys that can meet one criterion: certainly all that do, possibly others. */
export interface Selection {
  /** At least the number of keys. */
  readonly size: number;
  /** Every slot, some perhaps repeatedly. */
  forEachSlot(visit: (slot: number) => void): void;
}

export interface SelectionDeps {
  readonly index: AttributeIndex;
  readonly order: SortedChunks<KeyState>;
  readonly sources: ReadonlyMap<string, Source>;
}

/** What can meet `criterion`; null when that is more than `limit`, or everything. Yields wherever it may be interrupted. */
export function* selectByCriterion(
  criterion: Criterion,
  limit: number,
  deps: SelectionDeps,
  pace: Pace,
): Generator<null, Selection | null> {
  if (criterion.name === "rt" && isMetByType(criterion)) return null;
  const found = new BoundedSelection(limit, pace);
  const isComplete =
    (yield* found.addPostings(attributePostings(criterion, deps))) &&
    (criterion.name !== "ep" || (yield* found.addKeys(keysByName(criterion, deps.order)))) &&
    (!namesRegistration(criterion) || (yield* found.addPostings(hrefPostings(criterion, deps))));
  return isComplete ? found : null;
}

class BoundedSelection implements Selection {
  size = 0;
  readonly #limit: number;
  readonly #postings: Posting[] = [];
  readonly #keys: KeyState[] = [];
  readonly #pace: Pace;
  #added = 0;

  constructor(limit: number, pace: Pace) {
    this.#limit = limit;
    this.#pace = pace;
  }

  /** False when the limit is passed. */
  *addPostings(postings: Iterable<Posting>): Generator<null, boolean> {
    for (const posting of postings) {
      if (this.#isPause()) yield null;
      this.size += postingSize(posting);
      if (this.size > this.#limit) return false;
      this.#postings.push(posting);
    }
    return true;
  }

  *addKeys(keys: Iterable<KeyState>): Generator<null, boolean> {
    for (const key of keys) {
      if (this.#isPause()) yield null;
      if (++this.size > this.#limit) return false;
      this.#keys.push(key);
    }
    return true;
  }

  #isPause(): boolean {
    return ++this.#added % KEYS_PER_LOOK === 0 && this.#pace.isPause();
  }

  forEachSlot(visit: (slot: number) => void): void {
    for (const posting of this.#postings) forEachSlot(posting, visit);
    for (const { slot } of this.#keys) visit(slot);
  }
}

/** Every endpoint link has this type, and every resource link matches by it. */
function isMetByType({ value, isPrefix }: Criterion): boolean {
  return isPrefix ? ENDPOINT_RESOURCE_TYPE.startsWith(value) : value === ENDPOINT_RESOURCE_TYPE;
}

function namesRegistration({ name }: Criterion): boolean {
  return name === "href" || name === "provenance";
}

function attributePostings({ name, value, isPrefix }: Criterion, { index }: SelectionDeps): Iterable<Posting> {
  return isPrefix ? index.withPrefix(name, value) : only(index.exact(name, value));
}

/** The order of keys is one of endpoint names. */
function* keysByName({ value, isPrefix }: Criterion, order: SortedChunks<KeyState>): Generator<KeyState> {
  const first: KeyState = { ep: value, d: undefined, slot: -1, records: [], shown: null };
  for (const key of order.from(first)) {
    if (isPrefix ? !key.ep.startsWith(value) : key.ep !== value) return;
    yield key;
  }
}

/** Registration resources: the authority belongs to the source, the rest is indexed; what it has from elsewhere, whole. */
function* hrefPostings({ value, isPrefix }: Criterion, { index, sources }: SelectionDeps): Generator<Posting> {
  for (const source of sources.values()) {
    const authority = source.authority ?? "";
    const name = source.hrefToken;
    if (authority !== "" && !value.startsWith("/"))
      yield* isPrefix ? index.withPrefix(name, value) : only(index.exact(name, value));
    if (value.startsWith(authority)) {
      const href = value.slice(authority.length);
      yield* isPrefix ? index.withPrefix(name, href) : only(index.exact(name, href));
    } else if (isPrefix && authority.startsWith(value)) yield* index.withPrefix(name, "");
  }
}

function only(posting: Posting | undefined): Posting[] {
  return posting === undefined ? [] : [posting];
}
