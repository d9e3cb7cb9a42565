import { OPTION } from "../message/codes.js";
import { uintOption } from "../message/option-values.js";
import type { CoapOption } from "../types.js";

/**
 * Distinguishes concurrent uploads to one resource (RFC 9175 section 3.3). The first has no tag, so that servers without Request-Tag
 * see none in the usual case.
 */
export class RequestTags {
  readonly #taken = new Map<string, Set<number>>();

  /** Takes a tag for one more upload under `key`, until `release`. */
  take(key: string): { options: CoapOption[]; release(): void } {
    const taken = this.#taken.get(key) ?? new Set();
    this.#taken.set(key, taken);
    let tag = 0;
    while (taken.has(tag)) tag++;
    taken.add(tag);
    const release = (): void => {
      taken.delete(tag);
      if (taken.size === 0) this.#taken.delete(key);
    };
    return { options: tag === 0 ? [] : [uintOption(OPTION.REQUEST_TAG, tag)], release };
  }
}
