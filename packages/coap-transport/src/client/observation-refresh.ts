import { type Clock, jittered, type Random, type Timer } from "@tributary/runtime";
import type { ClientResponse, KeepAlive } from "../types.js";

/** Time after Max-Age until the registration is repeated, ms: RFC 7641 section 3.3.1 wants 5 to 15 s. */
const GRACE_MS = 5000;
const GRACE_SPREAD = 3;
/** Bounds of Max-Age: one of 0 would be a loop, one of 136 years no check at all. */
const MIN_MS = 1000;
const MAX_MS = 86_400_000;

/** Repeats the registration of an observation when nothing was received for Max-Age (RFC 7641 section 3.3.1). */
export class RegistrationRefresh {
  readonly #deps: { readonly clock: Clock; readonly random: Random };
  readonly #options: KeepAlive;
  readonly #refresh: (etags: readonly Uint8Array[]) => void;
  #timer: Timer | null = null;

  constructor(
    deps: { readonly clock: Clock; readonly random: Random },
    options: KeepAlive,
    refresh: (etags: readonly Uint8Array[]) => void,
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#refresh = refresh;
  }

  /** A notification, or the response to a registration, was received. */
  received({ maxAgeS, etag }: ClientResponse): void {
    const { clock, random } = this.#deps;
    const { minMs = MIN_MS, maxMs = MAX_MS, graceMs = jittered(random, GRACE_MS, 1, GRACE_SPREAD) } = this.#options;
    const freshMs = Math.min(Math.max(maxAgeS * 1000, minMs), maxMs);
    this.#timer?.cancel();
    this.#timer = clock.setTimer(freshMs + graceMs, () =>
      this.#refresh(this.#options.etags?.() ?? (etag === undefined ? [] : [etag])),
    );
  }

  stop(): void {
    this.#timer?.cancel();
  }
}
