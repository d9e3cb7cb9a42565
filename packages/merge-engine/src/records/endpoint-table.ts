import { LargeMap } from "../large-map.js";

const NONE: readonly never[] = [];

/**
 * Values by endpoint name and sector, absent being a sector of its own (rule 5). No text is made of the two: with a million
 * endpoints that would take more memory than the table. Names that occur in one sector only take one entry.
 */
export class EndpointTable<V extends object> {
  readonly #sectorOf: (value: V) => string | undefined;
  readonly #byName = new LargeMap<V | Map<string | undefined, V>>();

  /** `sectorOf` returns the sector of a value. */
  constructor(sectorOf: (value: V) => string | undefined) {
    this.#sectorOf = sectorOf;
  }

  /** Returns the value of an endpoint. */
  get(ep: string, d: string | undefined): V | undefined {
    const found = this.#byName.get(ep);
    if (found === undefined) return undefined;
    if (found instanceof Map) return found.get(d);
    return this.#sectorOf(found) === d ? found : undefined;
  }

  /** Returns the values of an endpoint name in all sectors, in no order. */
  named(ep: string): readonly V[] {
    const found = this.#byName.get(ep);
    if (found === undefined) return NONE;
    return found instanceof Map ? [...found.values()] : [found];
  }

  /** Sets the value of an endpoint. */
  set(ep: string, value: V): void {
    const d = this.#sectorOf(value);
    const found = this.#byName.get(ep);
    if (found instanceof Map) found.set(d, value);
    else if (found === undefined || this.#sectorOf(found) === d) this.#byName.set(ep, value);
    else
      this.#byName.set(
        ep,
        new Map([
          [this.#sectorOf(found), found],
          [d, value],
        ]),
      );
  }

  /** Removes the value of an endpoint, if there is one. */
  delete(ep: string, d: string | undefined): void {
    const found = this.#byName.get(ep);
    if (found instanceof Map) {
      found.delete(d);
      const [last] = found.values();
      if (last === undefined) this.#byName.delete(ep);
      else if (found.size === 1) this.#byName.set(ep, last);
    } else if (found !== undefined && this.#sectorOf(found) === d) this.#byName.delete(ep);
  }
}
