import type { Criterion } from "@tributary/link-model";
import { ENDPOINT_RESOURCE_TYPE, KEYS_PER_LOOK } from "../constants.js";
import type { KeyOrder } from "../records/key-order.js";
import type { KeyState, Source } from "../records/stored-record.js";
import type { AttributeIndex } from "./attribute-index.js";
import type { Pace } from "./pace.js";
import { type Posting, postingSize, slotsOf } from "./postings.js";

/** Keys that can meet one criterion: certainly all that do, possibly others. */
export interface Selection {
  /** At least the number of keys. */
  readonly size: number;
  /** Every slot, some perhaps repeatedly, some at a time. The directory may change in between. */
  slots(): Iterable<readonly number[]>;
}

export interface SelectionDeps {
  /** What can match is in one of these. */
  readonly indexes: readonly AttributeIndex[];
  readonly order: KeyOrder;
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

  *slots(): Generator<readonly number[]> {
    for (const posting of this.#postings) yield* slotsOf(posting);
    yield this.#keys.map(({ slot }) => slot);
  }
}

/** Every endpoint link has this type, and every resource link matches by it. */
function isMetByType({ value, isPrefix }: Criterion): boolean {
  return isPrefix ? ENDPOINT_RESOURCE_TYPE.startsWith(value) : value === ENDPOINT_RESOURCE_TYPE;
}

function namesRegistration({ name }: Criterion): boolean {
  return name === "href" || name === "provenance";
}

function* attributePostings({ name, value, isPrefix }: Criterion, { indexes }: SelectionDeps): Generator<Posting> {
  yield* postings(indexes, name, value, isPrefix);
}

function* postings(
  indexes: readonly AttributeIndex[],
  name: string,
  value: string,
  isPrefix: boolean,
): Generator<Posting> {
  for (const index of indexes) {
    if (isPrefix) yield* index.withPrefix(name, value);
    else {
      const posting = index.exact(name, value);
      if (posting !== undefined) yield posting;
    }
  }
}

/** The order of keys is one of endpoint names. */
function* keysByName({ value, isPrefix }: Criterion, order: KeyOrder): Generator<KeyState> {
  for (const key of order.from({ ep: value, d: undefined })) {
    if (isPrefix ? !key.ep.startsWith(value) : key.ep !== value) return;
    yield key;
  }
}

/** Registration resources: the authority belongs to the source, the rest is indexed; what it has from elsewhere, whole. */
function* hrefPostings({ value, isPrefix }: Criterion, { indexes, sources }: SelectionDeps): Generator<Posting> {
  for (const source of sources.values()) {
    const authority = source.authority ?? "";
    const name = source.hrefToken;
    if (authority !== "" && !value.startsWith("/")) yield* postings(indexes, name, value, isPrefix);
    if (value.startsWith(authority)) {
      yield* postings(indexes, name, value.slice(authority.length), isPrefix);
    } else if (isPrefix && authority.startsWith(value)) yield* postings(indexes, name, "", true);
  }
}

/** The keys of all records of a source. */
export class SourceSelection implements Selection {
  readonly #records: Source["records"];

  constructor({ records }: Source) {
    this.#records = records;
  }

  get size(): number {
    return this.#records.size;
  }

  slots(): Iterable<readonly number[]> {
    return [Array.from(this.#records.values(), ({ key }) => key.slot)];
  }
}
