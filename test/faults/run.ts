import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually, type RunningProcess } from "../peers/peers.js";
import { differences, type Expectation, type Losses, losses } from "./agreement.js";
import type { EndpointsPlan } from "./endpoints.js";
import { Federation, type FederationOptions } from "./federation.js";
import { ENDPOINT_HOST, type Host, LPS, RDS, uriOf } from "./hosts.js";
import {
  type Amnesia,
  amnesia,
  type Held,
  hasForgottenSince,
  heldBy,
  type JournalEntry,
  possibleSpans,
} from "./journal.js";
import { Lines } from "./lines.js";
import { type Fault, faultText, type PlannedFault, planFaults } from "./plan.js";
import { judgeLookups, type LookupFigures, type Overdue, overdue, type Sighting, View } from "./sightings.js";

export interface RunOptions extends FederationOptions {
  readonly seed: number;
  readonly durationMs: number;
  readonly longestFaultMs: number;
  readonly endpoints: number;
}

/** Clients of this test give up after this time, ms. */
const ASK_TIMEOUT_MS = 5000;
/** Longest that settling, and agreeing, may take, ms. */
const SETTLE_MS = 90_000;
const AGREE_MS = 90_000;
const ENDPOINTS = new URL("./endpoints.ts", import.meta.url);
const WATCH = new URL("./watch-lookups.ts", import.meta.url);

interface Watcher {
  readonly process: RunningProcess;
  readonly lines: Lines<Sighting>;
  readonly view: View;
}

/** What one run came to; figures are drawn from it. */
export interface RunResult {
  readonly options: RunOptions;
  readonly plan: readonly PlannedFault[];
  readonly journal: readonly JournalEntry[];
  readonly held: ReadonlyMap<string, Held>;
  readonly losses: Losses;
  readonly amnesia: Amnesia;
  readonly crashed: readonly string[];
  readonly doubles: number;
  readonly overdue: readonly Overdue[];
  readonly lookups: Readonly<Record<string, LookupFigures>>;
  /** From the end of the last fault until every endpoint was acknowledged again, ms. */
  readonly settledMs: number;
  /** From the end of the last fault until a proxy showed exactly what the endpoints hold, ms. */
  readonly agreedMs: Readonly<Record<string, number>>;
  /** Endpoints held in the end that each proxy shows at their RD. */
  readonly foundAt: Readonly<Record<string, number>>;
  readonly cutOffRestart: CutOffRestart;
}

/** A proxy that was started again while no RD could be reached. */
export interface CutOffRestart {
  readonly answered: number;
  readonly refused: number;
  readonly faults: readonly string[];
  /** Sleepers, which live longer than any test, that it showed, of how many. */
  readonly sleepersShown: number;
  readonly sleepers: number;
  /** From healing until it agreed, ms. */
  readonly agreedMs: number;
}

/** One federation, its endpoints and the clients of its proxies, through one plan of faults. */
export class FaultRun {
  readonly #options: RunOptions;
  readonly #federation: Federation;
  readonly #endpoints: RunningProcess;
  readonly #journal: Lines<JournalEntry>;
  readonly #watchers: ReadonlyMap<Host, Watcher>;
  /** When the first fault could begin. */
  #begunMs = 0;

  private constructor(options: RunOptions, federation: Federation) {
    this.#options = options;
    this.#federation = federation;
    const plan: EndpointsPlan = {
      rds: RDS.map((name) => ({ name, uri: uriOf(name) })),
      count: options.endpoints,
      seed: options.seed,
      sleepersWithinMs: 0.8 * options.durationMs,
    };
    this.#endpoints = federation.startOn(ENDPOINT_HOST.name, ENDPOINTS, [JSON.stringify(plan)]);
    this.#journal = new Lines<JournalEntry>(this.#endpoints);
    this.#watchers = new Map(LPS.map((lp) => [lp, watch(federation, lp)]));
  }

  /** Through all of it. Takes about `durationMs` and a minute. */
  static async complete(options: RunOptions): Promise<RunResult> {
    const run = new FaultRun(options, await Federation.start(options));
    await run.#untilRegistered();
    const plan = planFaults({
      seed: options.seed,
      durationMs: options.durationMs,
      longestMs: options.longestFaultMs,
      isKept: options.store !== "memory",
    });
    await run.#suffer(plan);
    const healedMs = Date.now();
    const settledMs = (await run.#settle()) - healedMs;
    const agreed = await Promise.all(
      LPS.map(async (lp): Promise<[Host, number]> => [lp, (await run.#agreement(lp)) - healedMs]),
    );
    const foundAt = Object.fromEntries(LPS.map((lp) => [lp, run.#foundAt(lp)]));
    const lost = run.#losses();
    const cutOffRestart = await run.#restartCutOff("lpz");
    // Agreement was no passing moment.
    for (const lp of LPS) await run.#agreement(lp);
    return run.#result({ plan, settledMs, agreedMs: Object.fromEntries(agreed), foundAt, losses: lost, cutOffRestart });
  }

  async #untilRegistered(): Promise<void> {
    await eventually(() => heldBy(this.#journal.poll()).size > 0.7 * this.#options.endpoints, {
      what: `the endpoints to register: ${this.#endpoints.stderr()}`,
      timeoutMs: 30_000,
      intervalMs: 100,
    });
    for (const [lp, { view, lines }] of this.#watchers)
      await eventually(() => lines.poll().length > 0 && view.endpoints.size > 0, { what: `lookups at ${lp}` });
  }

  /** Every fault in its time. */
  async #suffer(plan: readonly PlannedFault[]): Promise<void> {
    const startMs = Date.now();
    this.#begunMs = startMs;
    const until = (ms: number): Promise<void> => sleep(Math.max(0, startMs + ms - Date.now()));
    await Promise.all(
      plan.map(async ({ fault, startMs: fromMs, endMs }) => {
        await until(fromMs);
        this.#tell(faultText(fault));
        const heal = await this.#begin(fault);
        await until(endMs);
        await heal();
        this.#tell(`healed: ${faultText(fault)}`);
      }),
    );
  }

  async #begin(fault: Fault): Promise<() => void | Promise<void>> {
    const { network, filter } = this.#federation;
    switch (fault.kind) {
      case "kill":
        await this.#federation.kill(fault.host);
        return () => this.#federation.startNode(fault.host, fault.remains);
      case "cut":
        network.setConnected(fault.host, false);
        return () => network.setConnected(fault.host, true);
      case "apart":
        return filter.lose(
          { from: fault.rd, to: fault.lp, percent: 100 },
          { from: fault.lp, to: fault.rd, percent: 100 },
        );
      case "one-way":
        return filter.lose({ from: fault.from, to: fault.to, percent: 100 });
      case "loss":
        return filter.lose(
          { to: fault.host, percent: fault.toPercent },
          { from: fault.host, percent: fault.fromPercent },
        );
      default:
        return fault satisfies never;
    }
  }

  /** Everybody is acknowledged once more, then each registration is read; when that was done. */
  async #settle(): Promise<number> {
    this.#endpoints.signal("SIGUSR2");
    const settled = await eventually(() => this.#journal.poll().find(({ kind }) => kind === "settled"), {
      what: "every endpoint to be acknowledged again",
      timeoutMs: SETTLE_MS,
      intervalMs: 100,
    });
    return "atMs" in settled ? settled.atMs : Number.NaN;
  }

  #losses(): Losses {
    const journal = this.#journal.poll();
    const reads = new Map(journal.flatMap((entry) => (entry.kind === "read" ? [[entry.ep, entry.code]] : [])));
    return losses(heldBy(journal), reads, (rd, sinceMs) => this.#hasForgotten(rd as Host, sinceMs));
  }

  #hasForgotten(rd: Host, sinceMs: number): boolean {
    return hasForgottenSince(this.#federation.lives.get(rd) ?? [], sinceMs);
  }

  /** What must be shown now: what is held, without what is lost. */
  #expectation(): Expectation {
    const journal = this.#journal.poll();
    const { expected } = this.#losses();
    const held = new Map(heldBy(journal));
    for (const ep of expected) held.delete(ep);
    const spans = possibleSpans(journal);
    // The registration that is lost was not another one: it must not be shown either.
    for (const ep of expected) for (const rd of RDS) if (this.#isGone(ep, rd)) spans.delete(`${rd} ${ep}`);
    return { held, spans };
  }

  #isGone(ep: string, rd: Host): boolean {
    const last = this.#journal.all.findLast((entry) => "op" in entry && entry.ep === ep && entry.rd === rd);
    return last !== undefined && "op" in last && this.#hasForgotten(rd, last.atMs);
  }

  /** When a proxy first shows exactly what is held. */
  async #agreement(lp: Host): Promise<number> {
    const { view, lines } = this.#watchers.get(lp) as Watcher;
    let last: string[] = [];
    try {
      return await eventually(
        () => {
          lines.poll();
          last = differences(view, this.#expectation());
          return last.length === 0 && view.sweptMs > 0 && view.sweptMs;
        },
        { what: `${lp} to show what the endpoints hold`, timeoutMs: AGREE_MS, intervalMs: 250 },
      );
    } catch (cause) {
      throw new Error(`${lp} does not agree: ${last.join("; ")}\n${this.#federation.log(lp).slice(-3000)}`, { cause });
    }
  }

  #foundAt(lp: Host): number {
    const { view } = this.#watchers.get(lp) as Watcher;
    return [...heldBy(this.#journal.poll()).values()].filter(({ ep, href }) => view.endpoints.get(ep) === href).length;
  }

  /** Cut a proxy off from every RD, kill it, and start it again. */
  async #restartCutOff(lp: Host): Promise<CutOffRestart> {
    const { network } = this.#federation;
    const { lines, view } = this.#watchers.get(lp) as Watcher;
    const isSleeperShown = (): number => [...view.endpoints.keys()].filter((ep) => ep.startsWith("sleeper")).length;
    const sleepers = [...this.#expectation().held.keys()].filter((ep) => ep.startsWith("sleeper")).length;
    network.setConnected(lp, false);
    await this.#federation.kill(lp);
    await this.#federation.startNode(lp, "kept");
    const readyMs = Date.now();
    await sleep(4000);
    const sightings = lines.poll();
    const asked = sightings.flatMap((one) =>
      one.kind === "asked" && one.sentMs >= readyMs ? [one.code ?? "none"] : [],
    );
    const sleepersShown = isSleeperShown();
    network.setConnected(lp, true);
    const healedMs = Date.now();
    const agreedMs = (await this.#agreement(lp)) - healedMs;
    return {
      answered: asked.filter((code) => code === "2.05").length,
      refused: asked.filter((code) => code === "5.04").length,
      faults: asked.filter((code) => code !== "2.05" && code !== "5.04" && code !== "none"),
      sleepersShown,
      sleepers,
      agreedMs,
    };
  }

  async #result(
    parts: Pick<RunResult, "plan" | "settledMs" | "agreedMs" | "foundAt" | "losses" | "cutOffRestart">,
  ): Promise<RunResult> {
    const journal = this.#journal.poll();
    const spans = possibleSpans(journal);
    const sightings = LPS.map((lp) => ({ lp, seen: this.#watchers.get(lp)?.lines.poll() ?? [] }));
    const lives = this.#federation.lives;
    this.#keep({ journal, lives: Object.fromEntries(lives), sightings });
    return {
      ...parts,
      options: this.#options,
      journal,
      held: heldBy(journal),
      amnesia: amnesia(journal, lives),
      crashed: await this.#federation.crashed(),
      doubles: sightings.flatMap(({ seen }) => seen.filter(({ kind }) => kind === "double")).length,
      overdue: sightings.flatMap(({ lp, seen }) => overdue(lp, seen, spans, this.#watchers.get(lp)?.view.sweptMs ?? 0)),
      lookups: Object.fromEntries(
        sightings.map(({ lp, seen }) => [lp, judgeLookups(lp, seen, lives.get(lp) ?? [], ASK_TIMEOUT_MS)]),
      ),
    };
  }

  /** For looking into a run that failed. */
  #keep(records: object): void {
    const folder = process.env.TRIBUTARY_FAULT_KEEP;
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    const name = `${this.#options.store.replace(/\W.*/, "")}-${this.#options.seed}.json`;
    writeFileSync(join(folder, name), JSON.stringify({ begunMs: this.#begunMs, ...records }));
  }

  #tell(message: string): void {
    if (process.env.TRIBUTARY_TEST_LOG !== undefined)
      process.stderr.write(`${new Date().toISOString()} ${this.#options.store}: ${message}\n`);
  }
}

function watch(federation: Federation, lp: Host): Watcher {
  const view = new View();
  const process = federation.startOn(lp, WATCH, [uriOf(lp)]);
  return { process, view, lines: new Lines<Sighting>(process, (sighting) => view.apply(sighting)) };
}
