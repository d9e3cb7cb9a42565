import type { ResponseValidity } from "@tributary/coap-transport";
import type { Criterion } from "@tributary/link-model";
import type { Directory, VisibleChange } from "@tributary/merge-engine";
import type { Clock } from "@tributary/runtime";
import { MAX_BROAD_RESPONSES } from "./constants.js";
import { isMereRenewal } from "./lookup-observers.js";
import { ObserverIndex, type Watching } from "./observer-index.js";

/**
 * Knows of remembered answers when they do not hold any more: as soon as a registration is shown, changed or gone that the lookup
 * could have to do with, by its criteria, and not before.
 */
export class CachedLookups {
  readonly #directory: Directory;
  readonly #clock: Clock;
  readonly #index = new ObserverIndex<CachedLookup>();
  /** Answers that every change concerns or may concern: few, as each change looks at all of them. */
  #broad = 0;
  /** Everything that was remembered before holds no more. */
  #age = 0;

  constructor({ directory, clock }: { readonly directory: Directory; readonly clock: Clock }) {
    this.#directory = directory;
    this.#clock = clock;
    directory.on("visible", (change) => this.#onChange(change));
    // What only an assumed lifetime keeps may end by that.
    directory.on("connection", () => this.forgetAll());
  }

  /** An answer to a lookup with these criteria that is true at this moment; null when there are too many such. */
  begin(criteria: readonly Criterion[], onGiven: () => void): ResponseValidity | null {
    const isBroad = !criteria.some(({ isPrefix, value }) => !isPrefix && value !== "");
    if (isBroad && this.#broad >= MAX_BROAD_RESPONSES) return null;
    const answer = new CachedLookup(criteria, this.#age, {
      age: () => this.#age,
      holds: () => this.#clock.nowMs() < (this.#directory.nextExpiryMs() ?? Number.POSITIVE_INFINITY),
      given: onGiven,
      end: () => {
        this.#index.delete(answer);
        if (isBroad) this.#broad--;
      },
    });
    this.#index.add(answer);
    if (isBroad) this.#broad++;
    return answer;
  }

  /** How often everything was forgotten. */
  get age(): number {
    return this.#age;
  }

  forgetAll(): void {
    this.#age++;
  }

  #onChange(change: VisibleChange): void {
    if (isMereRenewal(change)) return;
    for (const registration of [change.before, change.after]) {
      if (registration === undefined) continue;
      for (const answer of this.#index.concernedBy(registration)) answer.dispose();
    }
  }
}

interface Surroundings {
  readonly age: () => number;
  /** Nothing that time alone decides is due. */
  readonly holds: () => boolean;
  readonly given: () => void;
  readonly end: () => void;
}

class CachedLookup implements ResponseValidity, Watching {
  readonly criteria: readonly Criterion[];
  readonly #bornAt: number;
  readonly #around: Surroundings;
  #isOver = false;

  constructor(criteria: readonly Criterion[], bornAt: number, around: Surroundings) {
    this.criteria = criteria;
    this.#bornAt = bornAt;
    this.#around = around;
  }

  get isStale(): boolean {
    return this.#isOver || this.#around.age() !== this.#bornAt;
  }

  isFresh(): boolean {
    return this.#around.holds();
  }

  noteHit(): void {
    this.#around.given();
  }

  dispose(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#around.end();
  }
}
