import { HREFS_PER_STEP, MAX_FAULTY_ENTRIES, MAX_FAULTY_HREF_LENGTH } from "../constants.js";
import type { EntryFault } from "../entry-fault.js";
import type { FeedFault } from "../types.js";

/** Entries of one feed that are left out as long as the feed has them so. */
export class FaultyEntries {
  readonly #byHref = new Map<string, { readonly fault: EntryFault; readonly copy: number }>();
  readonly #faults = new Map<EntryFault, FeedFault>();
  /** Which copy from the start is being read: what was faulty before and has not come again by its end is gone. */
  #copy = 0;
  /** Beyond the bound, entries are counted without being known; the next copy counts again. */
  readonly #unknown = new Map<EntryFault, number>();
  #unknownOfCopy = new Map<EntryFault, number>();

  get faults(): ReadonlyMap<EntryFault, FeedFault> {
    return this.#faults;
  }

  add(href: string, fault: EntryFault, message: string): void {
    const known = this.#byHref.get(href);
    this.#byHref.delete(href);
    const isNamed = this.#byHref.size < MAX_FAULTY_ENTRIES && href.length <= MAX_FAULTY_HREF_LENGTH;
    if (known === undefined && !isNamed) {
      addTo(this.#unknownOfCopy, fault, 1);
      addTo(this.#unknown, fault, 1);
    } else this.#byHref.set(href, { fault, copy: this.#copy });
    if (known?.fault === fault) return;
    if (known !== undefined) this.#change(known.fault, -1, "");
    this.#change(fault, 1, message);
  }

  /** The entry is gone, or as it should be. */
  delete(href: string): void {
    const known = this.#byHref.get(href);
    if (known === undefined) return;
    this.#byHref.delete(href);
    this.#change(known.fault, -1, "");
  }

  startAgain(): void {
    this.#copy++;
    this.#unknownOfCopy = new Map();
  }

  /** The copy is complete: what it did not tell is gone. In steps. */
  *finishCopy(): Generator<void, void> {
    let looked = 0;
    for (const [href, { copy }] of this.#byHref) {
      if (++looked % HREFS_PER_STEP === 0) yield;
      if (copy !== this.#copy) this.delete(href);
    }
    for (const [fault, count] of this.#unknown) {
      const left = this.#unknownOfCopy.get(fault) ?? 0;
      this.#unknown.set(fault, left);
      this.#change(fault, left - count, "");
    }
  }

  #change(fault: EntryFault, by: number, message: string): void {
    const known = this.#faults.get(fault);
    const count = (known?.count ?? 0) + by;
    if (count === 0) this.#faults.delete(fault);
    else this.#faults.set(fault, { count, example: known?.example ?? message });
  }
}

function addTo(counts: Map<EntryFault, number>, fault: EntryFault, by: number): void {
  counts.set(fault, (counts.get(fault) ?? 0) + by);
}
