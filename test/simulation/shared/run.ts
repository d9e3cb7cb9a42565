import { CODE, CONTENT_FORMAT, type CoapClient, METHOD } from "@tributary/coap-transport";
import { type Attempt, History, type Shown } from "./history.ts";
import { createSharedPlan, INSTANCES, type InstanceName, type SharedDeed, type SharedPlan } from "./plan.ts";
import { SharedWorld } from "./world.ts";

/** What a seed led to. */
export interface Outcome {
  readonly seed: number;
  readonly violations: readonly string[];
  /** What happened, in order. */
  readonly trace: readonly string[];
  readonly checks: number;
}

/** From the end of all faults until everybody agrees, ms. */
const CONVERGENCE_MS = 60_000;
/** Time of a device for an answer, ms. */
const PATIENCE_MS = 25_000;
/** Pause between looks at what is shown, ms. */
const LOOK_MS = 1000;
/** Messages by which a stream is set back: more than are written until the next probe, or nobody could tell. */
const SET_BACK = 10;
/** Time in which a lost stream has to be noticed, ms. */
const NOTICE_MS = 15_000;

/** Plays the scenario of a seed with instances that share a stream. */
export function simulateShared(seed: number): Promise<Outcome> {
  return new SharedSimulation(createSharedPlan(seed)).run();
}

class SharedSimulation {
  readonly #plan: SharedPlan;
  readonly #shared: SharedWorld;
  readonly #history: History;
  readonly #clients: readonly CoapClient[];
  /** Path of each endpoint's registration: there is only one, ever. */
  readonly #paths = new Map<string, string>();
  readonly #busy = new Set<number>();
  readonly #separated = new Set<InstanceName>();
  readonly #violations: string[] = [];
  readonly #trace: string[] = [];
  #checks = 0;

  constructor(plan: SharedPlan) {
    this.#plan = plan;
    this.#shared = new SharedWorld(plan, (text) => this.#note(text));
    this.#history = new History(plan.partition);
    this.#clients = plan.devices.map((_, at) => this.#shared.device(at));
  }

  async run(): Promise<Outcome> {
    const { seed, deeds, lengthMs, loss } = this.#plan;
    const { clock } = this.#shared.world;
    await this.#shared.open();
    const beganMs = clock.nowMs();
    let lookedMs = 0;
    const passUntil = async (atMs: number) => {
      for (; lookedMs + LOOK_MS <= atMs; lookedMs += LOOK_MS) {
        await clock.advance(Math.max(0, beganMs + lookedMs + LOOK_MS - clock.nowMs()));
        this.#look();
      }
      await clock.advance(Math.max(0, beganMs + atMs - clock.nowMs()));
    };
    for (const { atMs, deed } of deeds) {
      await passUntil(atMs);
      this.#do(deed);
    }
    await passUntil(lengthMs);
    this.#heal();
    await passUntil(lengthMs + CONVERGENCE_MS);
    this.#compare("after healing");
    this.#countEnds();
    if (loss !== null && this.#shared.stream.lastSequence > SET_BACK) await this.#lose(loss);
    await this.#shared.close();
    return { seed, violations: this.#violations, trace: this.#trace, checks: this.#checks };
  }

  #do(deed: SharedDeed): void {
    this.#note(JSON.stringify(deed));
    const faults = this.#shared.faultsOf(deed.instance);
    switch (deed.kind) {
      case "cut-off":
      case "reconnect":
        if (faults !== undefined) faults.isCutOff = deed.kind === "cut-off";
        return;
      case "lose-responses":
        if (faults !== undefined) faults.lostResponses = deed.share;
        return;
      case "lose-probes":
      case "find-probes":
        if (faults !== undefined) faults.isProbeLost = deed.kind === "lose-probes";
        return;
      case "crash":
        this.#shared.crash(deed.instance);
        return;
      case "start":
        void this.#shared.start(deed.instance);
        return;
      case "separate":
      case "join":
        if (deed.kind === "separate") this.#separated.add(deed.instance);
        else this.#separated.delete(deed.instance);
        this.#shared.setSeparated(this.#separated);
        return;
      default:
        void this.#ask(deed);
    }
  }

  #heal(): void {
    this.#note("everything is healed");
    this.#separated.clear();
    this.#shared.setSeparated(this.#separated);
    for (const name of INSTANCES) {
      Object.assign(this.#shared.faultsOf(name) ?? {}, { isCutOff: false, lostResponses: 0, isProbeLost: false });
      void this.#shared.start(name);
    }
  }

  /** Never rejects. */
  async #ask(deed: Extract<SharedDeed, { device: number }>): Promise<void> {
    const { device, instance, kind, ltS, revision } = deed;
    const ep = this.#plan.devices[device] as string;
    const path = this.#paths.get(ep);
    if (this.#busy.has(device) || (kind !== "register" && path === undefined)) return;
    this.#busy.add(device);
    const origin = this.#shared.originOf(instance);
    const attempt = this.#history.begin(deed, ep, this.#nowMs());
    const wasCertain = this.#history.isCertain(ep, this.#nowMs());
    const request =
      kind === "register"
        ? {
            ...{ method: METHOD.POST, uri: `${origin}/rd`, query: [`ep=${ep}`, `lt=${ltS}`, `base=coap://${ep}`] },
            ...{ contentFormat: CONTENT_FORMAT.LINK_FORMAT, payload: new TextEncoder().encode(`</${revision}>`) },
          }
        : { method: kind === "renew" ? METHOD.POST : METHOD.DELETE, uri: `${origin}${path}` };
    const response = await (this.#clients[device] as CoapClient)
      .request(request, { timeoutMs: PATIENCE_MS })
      .catch(() => undefined);
    this.#busy.delete(device);
    attempt.answeredMs = this.#nowMs();
    const code = response?.code;
    this.#note(`${kind} of ${ep} (${revision}) at ${instance}: ${code ?? "nothing"}`);
    if (code === undefined || code === CODE.UNAVAILABLE) attempt.outcome = "open";
    else if (code === CODE.NOT_FOUND) this.#refused(attempt, wasCertain, instance);
    else if (code !== CODE.CREATED && code !== CODE.CHANGED && code !== CODE.DELETED) {
      attempt.outcome = "open";
      this.#violation(`${kind} of ${ep} at ${instance}: code ${code}`);
    } else this.#acknowledged(attempt, instance, `/${response?.locationPath.join("/")}`);
  }

  #refused(attempt: Attempt, wasCertain: boolean, instance: InstanceName): void {
    attempt.outcome = "refused";
    // Those that accept on two sides of a split cannot know of each other.
    const isKnown = this.#plan.partition === "refuse";
    if (isKnown && wasCertain && this.#history.isCertain(attempt.ep, this.#nowMs()))
      this.#violation(`${instance} says that ${attempt.ep} is not registered, and it is`);
  }

  #acknowledged(attempt: Attempt, instance: InstanceName, location: string): void {
    const { kind, ep, revision } = attempt;
    attempt.outcome = "acknowledged";
    if (kind === "register") {
      const path = this.#paths.get(ep);
      if (path !== undefined && path !== location) this.#violation(`${ep} has the paths ${path} and ${location}`);
      this.#paths.set(ep, location);
    }
    // Who is told so finds it there.
    const shown = this.#shared.shownAt(instance);
    const isOver = attempt.invokedMs + attempt.ltS * 1000 <= this.#nowMs();
    if (kind !== "register" || shown === undefined || isOver || !this.#history.isAlone(attempt)) return;
    this.#checks++;
    if (shown.get(ep) !== revision)
      this.#violation(`${instance} acknowledged ${ep} (${revision}), and shows ${shown.get(ep)}`);
  }

  /** At any time: nobody shows what is over. */
  #look(): void {
    for (const [name, shown] of this.#views())
      for (const problem of this.#problems(shown, false)) this.#violation(`${name}: ${problem}`);
  }

  /** Everybody shows the same, and what devices were told. */
  #compare(when: string): void {
    const views = this.#views();
    if (views.length <= INSTANCES.length) this.#violation(`${when}, not every instance is up`);
    for (const [name, shown] of views) {
      for (const problem of this.#problems(shown, true)) this.#violation(`${when}, ${name}: ${problem}`);
      const [first, expected] = views[0] as [string, Shown];
      if (textOf(shown) !== textOf(expected))
        this.#violation(`${when}, ${name} and ${first} differ: ${textOf(shown)} and ${textOf(expected)}`);
    }
    for (const name of INSTANCES) {
      const pending = this.#shared.pendingAt(name);
      if (pending > 0) this.#violation(`${when}, ${name} has ${pending} writes that were not settled`);
    }
  }

  /** A lifetime ends once. */
  #countEnds(): void {
    const ended = new Set<string>();
    for (const { subject, kind } of this.#shared.stream.history) {
      if (kind !== "end") ended.delete(subject);
      else if (ended.has(subject)) this.#violation(`${subject} ended twice`);
      else ended.add(subject);
    }
  }

  /** A stream that lost what it had says nothing about registrations: they stay, and nothing is acknowledged any more. */
  async #lose(loss: NonNullable<SharedPlan["loss"]>): Promise<void> {
    const { stream, world } = this.#shared;
    if (loss === "recreated") stream.recreate();
    else if (loss === "emptied") stream.empty();
    else stream.goBack(SET_BACK);
    this.#note(`the stream was ${loss}`);
    await world.clock.advance(NOTICE_MS);
    this.#compare(`after the stream was ${loss}`);
    const answers = await this.#shared.settled(
      Promise.all(INSTANCES.map((name, at) => this.#registerAfterwards(name, at))),
    );
    for (const [at, code] of answers.entries()) {
      this.#checks++;
      if (code !== CODE.UNAVAILABLE) this.#violation(`after the stream was ${loss}, ${INSTANCES[at]} answered ${code}`);
    }
  }

  async #registerAfterwards(name: InstanceName, at: number): Promise<number | undefined> {
    const request = { method: METHOD.POST, uri: `${this.#shared.originOf(name)}/rd`, query: ["ep=late"] };
    const client = this.#clients[at % this.#clients.length] as CoapClient;
    return (await client.request(request, { timeoutMs: PATIENCE_MS }).catch(() => undefined))?.code;
  }

  #views(): [string, Shown][] {
    const views: [string, Shown][] = [["lp", this.#shared.shownAtProxy()]];
    for (const name of INSTANCES) {
      const shown = this.#shared.shownAt(name);
      if (shown !== undefined) views.push([name, shown]);
    }
    return views;
  }

  #problems(shown: Shown, isComplete: boolean): string[] {
    this.#checks++;
    return this.#history.problems(shown, this.#nowMs(), isComplete);
  }

  #nowMs(): number {
    return this.#shared.world.clock.nowMs();
  }

  #note(text: string): void {
    this.#trace.push(`${(this.#nowMs() / 1000).toFixed(3)} ${text}`);
  }

  #violation(text: string): void {
    this.#violations.push(text);
    this.#note(`VIOLATION ${text}`);
  }
}

function textOf(shown: Shown): string {
  return [...shown]
    .map(([ep, revision]) => `${ep}=${revision}`)
    .sort()
    .join(" ");
}
