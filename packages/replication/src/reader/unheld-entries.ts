import { MAX_FAULTY_HREF_LENGTH, MAX_UNHELD_ENTRIES } from "../constants.js";

/**
 * Entries that a feed has and its reader does not hold, because they were left out or came from this node: they can be
 * renewed and removed like others. Beyond a bound, any entry may be one of them.
 */
export class UnheldEntries {
  readonly #hrefs = new Set<string>();
  #hasOthers = false;

  add(href: string): void {
    if (this.#hrefs.size < MAX_UNHELD_ENTRIES && href.length <= MAX_FAULTY_HREF_LENGTH) this.#hrefs.add(href);
    else this.#hasOthers = true;
  }

  delete(href: string): void {
    this.#hrefs.delete(href);
  }

  /** False only when it is certain that the reader would hold the entry, if the feed had it. */
  mayHave(href: string): boolean {
    return this.#hasOthers || this.#hrefs.has(href);
  }

  /** Nothing is known of what another reader did not hold. */
  assumeOthers(): void {
    this.#hasOthers = true;
  }

  clear(): void {
    this.#hrefs.clear();
    this.#hasOthers = false;
  }
}
