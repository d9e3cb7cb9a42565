import { EMPTIED_MS, EMPTIED_SIGHTINGS, EMPTIED_UNPROVEN_MS } from "../constants.js";

/**
 * What speaks for it that an RD whose lookups answer 4.04 has become empty, and has not lost its lookups: it goes on advertising
 * them, and none of the registrations that it had is there any more, each time that it is looked at, for a long time. Pure.
 */
export class EmptinessEvidence {
  #sinceMs: number | null = null;
  #sightings = 0;
  #isProbative = false;
  #isConclusive = false;

  /** While it showed registrations, one of them responded to GET with something else than 4.04: 4.04 says that they are gone. */
  noteRegistrationThere(): void {
    this.#isProbative = true;
  }

  /** Both lookups answered 4.04, and so did registrations that it had. */
  noteGone(nowMs: number): void {
    this.#sinceMs ??= nowMs;
    this.#sightings++;
    const longMs = this.#isProbative ? EMPTIED_MS : EMPTIED_UNPROVEN_MS;
    if (this.#sightings >= EMPTIED_SIGHTINGS && nowMs - this.#sinceMs >= longMs) this.#isConclusive = true;
  }

  /** A lookup or a registration responded in another way: whatever spoke for it before counts no more. */
  noteOther(): void {
    this.#sinceMs = null;
    this.#sightings = 0;
    this.#isConclusive = false;
  }

  /** The RD is empty, until something else is noted. */
  get isConclusive(): boolean {
    return this.#isConclusive;
  }
}
