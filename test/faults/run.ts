import { setTimeout as sleep } from "node:timers/promises";
import { eventually, type RunningProcess } from "../peers/peers.js";
import type { Losses } from "./agreement.js";
import type { EndpointsPlan } from "./endpoints.js";
import { Federation, type FederationOptions } from "./federation.js";
import { ENDPOINT_HOST, type Host, LPS, RDS, uriOf } from "./hosts.js";
import { type Amnesia, amnesia, type Held, heldBy, isSleeper, type JournalEntry, possibleSpans } from "./journal.js";
import { type Fault, faultText, type PlannedFault, planFaults } from "./plan.js";
import { RunRecord } from "./record.js";
import { judgeLookups, type LookupFigures, type Overdue, overdue } from "./sightings.js";

export interface RunOptions extends FederationOptions {
  readonly seed: number;
  readonly durationMs: number;
  readonly longestFaultMs: number;
  readonly endpoints: number;
}

/** Clients of this test give up after this time, ms. */
const ASK_TIMEOUT_MS = 5000;
/** Longest that settling may take, ms. */
const SETTLE_MS = 90_000;
/** How long a proxy that was started while it is cut off is asked, ms: a lookup that its predecessor left open ends within. */
const CUT_OFF_MS = ASK_TIMEOUT_MS + 1500;
const ENDPOINTS = new URL("./endpoints.ts", import.meta.url);

/** How long after healing a proxy showed exactly what the endpoints hold, and if it never did, what was different. */
export interface ProxyAgreement {
  readonly lp: Host;
  readonly afterMs: number;
  readonly differences: readonly string[];
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
  /** Since the end of the last fault. */
  readonly agreed: readonly ProxyAgreement[];
  /** What was different when all was over. */
  readonly disagreed: readonly string[];
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
  /** Since healing. */
  readonly agreed: ProxyAgreement;
}

/** One federation, its endpoints and the clients of its proxies, through one plan of faults. */
export class FaultRun {
  readonly #options: RunOptions;
  readonly #federation: Federation;
  readonly #endpoints: RunningProcess;
  readonly #record: RunRecord;
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
    this.#record = new RunRecord(federation, this.#endpoints);
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
    const agreed = await Promise.all(LPS.map((lp) => run.#agreement(lp, healedMs)));
    const foundAt = Object.fromEntries(LPS.map((lp) => [lp, run.#record.foundAt(lp)]));
    const losses = run.#record.losses();
    const cutOffRestart = await run.#restartCutOff("lpz");
    // Agreement was no passing moment.
    const disagreed = (await Promise.all(LPS.map((lp) => run.#agreement(lp, healedMs)))).flatMap(
      ({ differences }) => differences,
    );
    return run.#result({ plan, settledMs, agreed, disagreed, foundAt, losses, cutOffRestart });
  }

  async #untilRegistered(): Promise<void> {
    await eventually(() => heldBy(this.#record.journal()).size > 0.7 * this.#options.endpoints, {
      what: `the endpoints to register: ${this.#endpoints.stderr()}`,
      timeoutMs: 30_000,
      intervalMs: 100,
    });
    for (const lp of LPS)
      await eventually(() => this.#record.watcher(lp).view.endpoints.size > 0, { what: `lookups at ${lp}` });
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
    const settled = await eventually(() => this.#record.journal().find(({ kind }) => kind === "settled"), {
      what: "every endpoint to be acknowledged again",
      timeoutMs: SETTLE_MS,
      intervalMs: 100,
    });
    return "atMs" in settled ? settled.atMs : Number.NaN;
  }

  async #agreement(lp: Host, healedMs: number): Promise<ProxyAgreement> {
    const { atMs, differences } = await this.#record.agreement(lp, healedMs);
    return { lp, afterMs: atMs - healedMs, differences };
  }

  /** Cut a proxy off from every RD, kill it, and start it again. */
  async #restartCutOff(lp: Host): Promise<CutOffRestart> {
    const { network } = this.#federation;
    const sleepers = [...this.#record.expectation().held.keys()].filter(isSleeper).length;
    network.setConnected(lp, false);
    await this.#federation.kill(lp);
    await this.#federation.startNode(lp, "kept");
    const readyMs = Date.now();
    await sleep(CUT_OFF_MS);
    const { lines, view } = this.#record.watcher(lp);
    const asked = lines.all.flatMap((one) =>
      one.kind === "asked" && one.sentMs >= readyMs ? [one.code ?? "none"] : [],
    );
    const sleepersShown = view.sweptMs < readyMs ? 0 : [...view.endpoints.keys()].filter(isSleeper).length;
    network.setConnected(lp, true);
    const healedMs = Date.now();
    return {
      answered: asked.filter((code) => code === "2.05").length,
      refused: asked.filter((code) => code === "5.04").length,
      faults: asked.filter((code) => code !== "2.05" && code !== "5.04" && code !== "none"),
      sleepersShown,
      sleepers,
      agreed: await this.#agreement(lp, healedMs),
    };
  }

  async #result(
    parts: Pick<RunResult, "plan" | "settledMs" | "agreed" | "disagreed" | "foundAt" | "losses" | "cutOffRestart">,
  ): Promise<RunResult> {
    const journal = this.#record.journal();
    const spans = possibleSpans(journal);
    const sightings = LPS.map((lp) => ({ lp, seen: this.#record.watcher(lp).lines.all }));
    const lives = this.#federation.lives;
    const { store, seed } = this.#options;
    this.#record.keep(`${store.replace(/\W.*/, "")}-${seed}`, { begunMs: this.#begunMs });
    return {
      ...parts,
      options: this.#options,
      journal,
      held: heldBy(journal),
      amnesia: amnesia(journal, lives),
      crashed: await this.#federation.crashed(),
      doubles: sightings.flatMap(({ seen }) => seen.filter(({ kind }) => kind === "double")).length,
      overdue: sightings.flatMap(({ lp, seen }) => overdue(lp, seen, spans, this.#record.watcher(lp).view.sweptMs)),
      lookups: Object.fromEntries(
        sightings.map(({ lp, seen }) => [lp, judgeLookups(lp, seen, lives.get(lp) ?? [], ASK_TIMEOUT_MS)]),
      ),
    };
  }

  #tell(message: string): void {
    if (process.env.TRIBUTARY_TEST_LOG !== undefined)
      process.stderr.write(`${new Date().toISOString()} ${this.#options.store}: ${message}\n`);
  }
}
