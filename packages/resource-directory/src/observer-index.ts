import { type Attribute, type Criterion, RELATION_ATTRIBUTES } from "@tributary/link-model";
import { registrationMatches, type SourcedRegistration } from "@tributary/merge-engine";

/** Something that waits for registrations that meet its criteria. */
export interface Watching {
  readonly criteria: readonly Criterion[];
}

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
  *concernedBy(registration: SourcedRegistration): Generator<T> {
    for (const watching of this.#candidates(registration)) {
      if (registrationMatches(watching.criteria, registration)) yield watching;
    }
  }

  *#candidates(registration: SourcedRegistration): Generator<T> {
    yield* this.#scanned;
    for (const [name, byValue] of this.#byName) {
      const values = new Set(valuesOf(name, registration));
      for (const value of values) yield* byValue.get(value) ?? [];
    }
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
function* valuesOf(name: string, registration: SourcedRegistration): Generator<string> {
  if (name === "ep") yield registration.ep;
  else if (name === "d") yield registration.d ?? "";
  else if (name === "base") yield registration.base;
  else if (name === "rt") yield "core.rd-ep";
  else if (name === "href" || name === "provenance") yield registration.shownHref;
  yield* attributeValues(name, registration.attributes);
  for (const { target, attributes } of registration.links) {
    if (name === "href") yield target;
    yield* attributeValues(name, attributes);
  }
}

function* attributeValues(name: string, attributes: readonly Attribute[]): Generator<string> {
  for (const [attributeName, value] of attributes) {
    if (attributeName !== name || value === null) continue;
    if (RELATION_ATTRIBUTES.has(name)) yield* value.split(" ");
    else yield value;
  }
}
