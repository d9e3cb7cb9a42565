import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, type RunningProcess } from "../peers/peers.js";
import { differences, type Expectation, type Losses, losses } from "./agreement.js";
import type { Federation } from "./federation.js";
import { type Host, LPS, RDS, uriOf } from "./hosts.js";
import { hasForgottenSince, heldBy, type JournalEntry, possibleSpans, spanKey } from "./journal.js";
import { Lines } from "./lines.js";
import { type Sighting, View } from "./sightings.js";

const WATCH = new URL("./watch-lookups.ts", import.meta.url);
/** How long agreement is waited for, ms. */
const AGREE_MS = 60_000;

export interface Watcher {
  readonly lines: Lines<Sighting>;
  readonly view: View;
}

/** When a proxy first showed exactly what is held; never: infinite, with what was different in the end. */
export interface Agreement {
  readonly atMs: number;
  readonly differences: readonly string[];
}

/** What endpoints and clients write down during a run, and what follows from it at any time. */
export class RunRecord {
  readonly #federation: Federation;
  readonly #journal: Lines<JournalEntry>;
  readonly #watchers: ReadonlyMap<Host, Watcher>;

  /** Starts a client at each lookup proxy. */
  constructor(federation: Federation, endpoints: RunningProcess) {
    this.#federation = federation;
    this.#journal = new Lines<JournalEntry>(endpoints);
    this.#watchers = new Map(LPS.map((lp) => [lp, watch(federation, lp)]));
  }

  journal(): readonly JournalEntry[] {
    return this.#journal.poll();
  }

  watcher(lp: Host): Watcher {
    const watcher = this.#watchers.get(lp) as Watcher;
    watcher.lines.poll();
    return watcher;
  }

  losses(): Losses {
    const journal = this.journal();
    const reads = new Map(journal.flatMap((entry) => (entry.kind === "read" ? [[entry.ep, entry.code]] : [])));
    return losses(heldBy(journal), reads, (rd, sinceMs) => this.#hasForgotten(rd as Host, sinceMs));
  }

  /** What must be shown now: what is held and, once that was read, is at its RD. */
  expectation(): Expectation {
    const journal = this.journal();
    const held = new Map(heldBy(journal));
    const spans = possibleSpans(journal);
    for (const ep of journal.some(({ kind }) => kind === "settled") ? this.losses().lost : []) {
      held.delete(ep);
      // The registration that is lost was not another one: it must not be shown either.
      for (const rd of RDS) if (this.#isGone(ep, rd)) spans.delete(spanKey(ep, rd));
    }
    return { held, spans };
  }

  /** Waits for it; only what is seen after `sinceMs` counts. */
  async agreement(lp: Host, sinceMs: number): Promise<Agreement> {
    let last: readonly string[] = [];
    const check = (): number | false => {
      const { view } = this.watcher(lp);
      last = differences(view, this.expectation());
      return last.length === 0 && view.sweptMs >= sinceMs && view.sweptMs;
    };
    try {
      return { atMs: await eventually(check, { timeoutMs: AGREE_MS, intervalMs: 250 }), differences: [] };
    } catch {
      return { atMs: Number.POSITIVE_INFINITY, differences: last };
    }
  }

  /** Endpoints that a proxy shows at the RD that acknowledged them last. */
  foundAt(lp: Host): number {
    const { view } = this.watcher(lp);
    return [...heldBy(this.journal()).values()].filter(({ ep, href }) => view.endpoints.get(ep) === href).length;
  }

  /** For looking into a run that failed: all of it, into a file of the folder that TRIBUTARY_FAULT_KEEP names. */
  keep(name: string, more: object): void {
    const folder = process.env.TRIBUTARY_FAULT_KEEP;
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    const records = {
      ...more,
      journal: this.journal(),
      lives: Object.fromEntries(this.#federation.lives),
      sightings: LPS.map((lp) => ({ lp, seen: this.watcher(lp).lines.all })),
    };
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(records));
  }

  #hasForgotten(rd: Host, sinceMs: number): boolean {
    return hasForgottenSince(this.#federation.lives.get(rd) ?? [], sinceMs);
  }

  #isGone(ep: string, rd: Host): boolean {
    const last = this.journal().findLast((entry) => "op" in entry && entry.ep === ep && entry.rd === rd);
    return last !== undefined && "op" in last && this.#hasForgotten(rd, last.atMs);
  }
}

function watch(federation: Federation, lp: Host): Watcher {
  const view = new View();
  const process = federation.startOn(lp, WATCH, [uriOf(lp)]);
  return { view, lines: new Lines<Sighting>(process, (sighting) => view.apply(sighting)) };
}
