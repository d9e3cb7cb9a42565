import { type Criterion, formatCriterion } from "@tributary/link-model";
import { MAX_FAMILY_CRITERIA, MAX_WATCHED_FAMILIES } from "../constants.js";

export interface QueryFamiliesOptions {
  /** Different queries that make a family frequent; 2 or more. */
  readonly threshold: number;
  /** Within so many milliseconds. */
  readonly windowMs: number;
}

/** The shape of some lookups: what they have in common, and the names of what varies. */
interface Shape {
  readonly common: readonly Criterion[];
  readonly key: string;
}

interface Family {
  readonly shape: Shape;
  /** Different queries, with when each was seen last. */
  readonly queries: Map<string, number>;
}

/** What these criteria mean, whatever their order: equal exactly for equal sets. Pure. */
export function conjunctionKey(criteria: readonly Criterion[]): string {
  return [...new Set(criteria.map(formatCriterion))].sort().join("&");
}

/**
 * Finds families among lookups: those that have some criteria in common, and one or two more whose values vary (draft 4.3:
 * `…&title=X` for arbitrary X). Identical lookups count once: those a cache serves. Memory is bounded.
 */
export class QueryFamilies {
  readonly #options: QueryFamiliesOptions;
  /** In the order of their last query. */
  readonly #families = new Map<string, Family>();

  constructor(options: QueryFamiliesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#families.size;
  }

  /**
   * Note a lookup. What the most specific family has in common that has become frequent by it, among those that are wanted;
   * null when there is none.
   */
  note(
    criteria: readonly Criterion[],
    nowMs: number,
    isWanted: (common: readonly Criterion[]) => boolean,
  ): readonly Criterion[] | null {
    const distinct = [...new Map(criteria.map((one) => [formatCriterion(one), one])).values()];
    if (distinct.length > MAX_FAMILY_CRITERIA) return null;
    const query = conjunctionKey(distinct);
    const families = shapesOf(distinct).map((shape) => this.#noteMember(shape, query, nowMs));
    const found = families.find(
      ({ shape, queries }) => queries.size >= this.#options.threshold && isWanted(shape.common),
    );
    if (found === undefined) return null;
    // Wider ones are not frequent for the same reason, should nothing come of this one.
    for (const { shape } of families) this.#families.delete(shape.key);
    return found.shape.common;
  }

  #noteMember(shape: Shape, query: string, nowMs: number): Family {
    const family = this.#families.get(shape.key) ?? { shape, queries: new Map() };
    this.#families.delete(shape.key);
    this.#families.set(shape.key, family);
    this.#forgetOldest();
    const { queries } = family;
    queries.delete(query);
    queries.set(query, nowMs);
    for (const [other, atMs] of queries) {
      if (queries.size <= this.#options.threshold && nowMs - atMs <= this.#options.windowMs) break;
      queries.delete(other);
    }
    return family;
  }

  #forgetOldest(): void {
    if (this.#families.size <= MAX_WATCHED_FAMILIES) return;
    const [oldest] = this.#families.keys();
    if (oldest !== undefined) this.#families.delete(oldest);
  }
}

/**
 * The shapes that a query has: without one of its criteria, then without two, the most specific first. What names a
 * registration resource is never in common: here it is another URI than at the RD (draft 4.2).
 */
function shapesOf(criteria: readonly Criterion[]): Shape[] {
  const kept = criteria.filter(({ name }) => !NEVER_COMMON.has(name));
  const always = criteria.filter(({ name }) => NEVER_COMMON.has(name)).map(({ name }) => name);
  const shapes: Shape[] = always.length > 0 ? [shape(kept, always)] : [];
  for (const one of kept) shapes.push(shape(without(kept, [one]), [...always, one.name]));
  for (const [index, one] of kept.entries()) {
    for (const other of kept.slice(index + 1))
      shapes.push(shape(without(kept, [one, other]), [...always, one.name, other.name]));
  }
  return shapes;
}

const NEVER_COMMON: ReadonlySet<string> = new Set(["href", "provenance"]);

function shape(common: readonly Criterion[], varying: readonly string[]): Shape {
  return { common, key: `${conjunctionKey(common)} ${[...varying].sort().join(" ")}` };
}

function without(criteria: readonly Criterion[], left: readonly Criterion[]): Criterion[] {
  return criteria.filter((one) => !left.includes(one));
}
