import { LOST_PENALTY_MS } from "../constants.js";
import type { Registration, SourcedRegistration } from "../types.js";

/** The merge rules in the plainest form: a list of records, and everything computed from it each time. For comparison in tests. */
export class MergeModel {
  nowMs = 0;
  readonly #connected: Map<string, boolean>;
  #records: SourcedRegistration[] = [];

  constructor(sources: readonly string[]) {
    this.#connected = new Map(sources.map((name) => [name, true]));
  }

  put(source: string, registration: Registration): void {
    this.remove(source, registration.href);
    const shownHref = `coap://rd-${source}${registration.href}`;
    this.#records.push({ ...registration, source, shownHref, orderMs: registration.renewedAtMs });
  }

  renew(source: string, href: string, times: Pick<Registration, "renewedAtMs" | "expiresAtMs">): boolean {
    const known = this.#live().find((one) => one.source === source && one.href === href);
    if (known !== undefined) this.put(source, { ...known, ...times });
    return known !== undefined;
  }

  remove(source: string, href: string): void {
    this.#records = this.#records.filter((one) => one.source !== source || one.href !== href);
  }

  setConnected(source: string, isConnected: boolean): void {
    this.#records = this.#live();
    this.#connected.set(source, isConnected);
  }

  close(source: string): void {
    this.#records = this.#records.filter((one) => one.source !== source);
    this.#connected.set(source, true);
  }

  wait(ms: number): void {
    this.nowMs += ms;
  }

  /** What is shown, in the order of lookups. */
  winners(): SourcedRegistration[] {
    const keys = new Map(this.#live().map(({ ep, d }) => [JSON.stringify([ep, d]), { ep, d }]));
    return [...keys.values()]
      .sort((a, b) =>
        compare([a.ep, a.d === undefined ? 0 : 1, a.d ?? ""], [b.ep, b.d === undefined ? 0 : 1, b.d ?? ""]),
      )
      .flatMap(({ ep, d }) => this.candidates(ep, d).slice(0, 1));
  }

  candidates(ep: string, d: string | undefined): SourcedRegistration[] {
    const ordered = this.#live()
      .filter((one) => one.ep === ep && one.d === d)
      .sort((a, b) => compare([-a.renewedAtMs, a.href, a.source], [-b.renewedAtMs, b.href, b.source]));
    const isLost = ({ source }: SourcedRegistration) => this.#connected.get(source) !== true;
    const penaltyOf = (one: SourcedRegistration) => (isLost(one) ? LOST_PENALTY_MS : 0);
    const [winner] = [...ordered].sort((a, b) =>
      compare(
        [penaltyOf(a) - a.renewedAtMs, penaltyOf(a), a.href, a.source],
        [penaltyOf(b) - b.renewedAtMs, penaltyOf(b), b.href, b.source],
      ),
    );
    return winner === undefined ? [] : [winner, ...ordered.filter((one) => one !== winner)];
  }

  counts(): { visible: number; superseded: number; stale: number; total: number } {
    const live = this.#live();
    const visible = this.winners().length;
    const stale = live.filter((one) => this.#connected.get(one.source) !== true).length;
    return { visible, superseded: live.length - visible, stale, total: live.length };
  }

  /** When the first of the live records ends. */
  nextEndMs(): number | undefined {
    const ends = this.#live().filter((one) => this.#ends(one));
    return ends.length === 0 ? undefined : Math.min(...ends.map(({ expiresAtMs }) => expiresAtMs));
  }

  endingAt(atMs: number): number {
    return this.#live().filter((one) => this.#ends(one) && one.expiresAtMs <= atMs).length;
  }

  #live(): SourcedRegistration[] {
    return this.#records.filter((one) => one.expiresAtMs > this.nowMs || !this.#ends(one));
  }

  /** Rule 4. */
  #ends({ expiry, source }: SourcedRegistration): boolean {
    return expiry === "exact" || this.#connected.get(source) !== true;
  }
}

function compare(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  for (const [index, one] of a.entries()) {
    const other = b[index] as string | number;
    if (one !== other) return one < other ? -1 : 1;
  }
  return 0;
}
