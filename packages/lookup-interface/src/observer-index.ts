import { type Attribute, type Criterion, RELATION_ATTRIBUTES } from "@tributary/link-model";
import { registrationMatches, type SourcedRegistration } from "@tributary/merge-engine";

/** An observer of the registrations that meet its criteria. */
export interface Watching {
  readonly criteria: readonly Criterion[];
}

const NOBODY: readonly never[] = [];

/**
 * Finds who waits for a registration without asking everyone: by one exact criterion of each, name and value; those who
 * have none are asked one by one.
 */
export class ObserverIndex<T extends Watching> {
  readonly #scanned = new Set<T>();
  readonly #byName = new Map<string, Map<string, Set<T>>>();

  add(watching: T): void {
    this.#open(watching).add(watching);
  }

  delete(watching: T): void {
    this.#scanned.delete(watching);
    const { name, value } = handleOf(watching) ?? {};
    if (name === undefined || value === undefined) return;
    const byValue = this.#byName.get(name);
    const set = byValue?.get(value);
    set?.delete(watching);
    if (set?.size === 0) byValue?.delete(value);
    if (byValue?.size === 0) this.#byName.delete(name);
  }

  /** Everyone whose criteria the registration meets as on the endpoint interface: a superset for resource lookups. */
  concernedBy(registration: SourcedRegistration): readonly T[] {
    if (this.#scanned.size === 0 && this.#byName.size === 0) return NOBODY;
    const concerned: T[] = [];
    const judge = (watching: T): void => {
      if (registrationMatches(watching.criteria, registration)) concerned.push(watching);
    };
    this.#scanned.forEach(judge);
    for (const [name, byValue] of this.#byName) {
      // A value that a registration has several times finds the same watchers each time.
      const found = new Set<Set<T>>();
      visitValues(name, registration, (value) => {
        const watching = byValue.get(value);
        if (watching !== undefined) found.add(watching);
      });
      for (const watching of found) watching.forEach(judge);
    }
    return concerned;
  }

  #open(watching: T): Set<T> {
    const handle = handleOf(watching);
    if (handle === undefined) return this.#scanned;
    const byValue = this.#byName.get(handle.name) ?? new Map<string, Set<T>>();
    this.#byName.set(handle.name, byValue);
    const set = byValue.get(handle.value) ?? new Set<T>();
    byValue.set(handle.value, set);
    return set;
  }
}

/** The criterion to be found by: endpoint names first, as they are the most selective. */
function handleOf({ criteria }: Watching): Criterion | undefined {
  const exact = criteria.filter(({ isPrefix, value }) => !isPrefix && value !== "");
  return exact.find(({ name }) => name === "ep") ?? exact[0];
}

/** Every value of a registration that a criterion of this name is compared with (RFC 9176 section 6.2). */
function visitValues(name: string, registration: SourcedRegistration, visit: (value: string) => void): void {
  if (name === "ep") visit(registration.ep);
  else if (name === "d") visit(registration.d ?? "");
  else if (name === "base") visit(registration.base);
  else if (name === "rt") visit("core.rd-ep");
  else if (name === "href" || name === "provenance") visit(registration.shownHref);
  visitAttribute(name, registration.attributes, visit);
  for (const { target, attributes } of registration.links) {
    if (name === "href") visit(target);
    visitAttribute(name, attributes, visit);
  }
}

function visitAttribute(name: string, attributes: readonly Attribute[], visit: (value: string) => void): void {
  for (const [attributeName, value] of attributes) {
    if (attributeName !== name || value === null) continue;
    if (RELATION_ATTRIBUTES.has(name)) for (const one of value.split(" ")) visit(one);
    else visit(value);
  }
}
