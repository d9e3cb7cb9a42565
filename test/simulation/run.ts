import { CODE, CONTENT_FORMAT, type CoapClient, METHOD } from "@tributary/coap-transport";
import { Calm } from "./calm.ts";
import { Federation, type Journal } from "./federation.ts";
import { Oracle, type Question } from "./oracle.ts";
import {
  createPlan,
  type Deed,
  ENDPOINT_TYPES,
  type EndpointPlan,
  type Episode,
  type NodePlan,
  type Plan,
  RESOURCE_TYPES,
  type ScenarioSize,
  type Scheme,
} from "./scenario.ts";

export interface Outcome {
  readonly seed: number;
  readonly violations: readonly string[];
  /** What happened, in order. */
  readonly trace: readonly string[];
  readonly virtualMs: number;
  readonly checks: number;
}

/** From the end of all faults until the answers must be right: lost contact is noticed by heartbeat, then retried. */
export const CONVERGENCE_MS = 90_000;
/** Longest time that a request is retransmitted (RFC 7252 section 4.8.2). */
const PATIENCE_MS = 100_000;
/** What may be shown past its end during faults: `lt-age` is in whole seconds. */
const LATENESS_MS = 1_500;
/** What an RD acknowledged so long ago is shown by every LP that nothing has kept from following it. */
const VISIBLE_MS = 5_000;
const PAGE_SIZE = 7;
/** Max-Age of an answer that misses something (docs/modes.md), seconds. */
const PARTIAL_MAX_AGE_S = 5;
/** After registrations were removed: what was left out comes back, the longest pause between two attempts included. */
/** Links of a registration that has room wherever there is room for something, at most. */
const FEW_LINKS = 5;
const RELIEF_MS = 1_300_000;

export interface SimulationOptions {
  readonly size?: ScenarioSize;
  readonly scheme?: Scheme;
}

interface Answer {
  readonly code: number;
  readonly text: string;
  /** It says that it may miss something. */
  readonly isPartial: boolean;
}

/** What a proxy shows, and the RDs that it is certain to follow. */
interface ProbedAnswer {
  readonly lp: NodePlan;
  readonly text: string;
  readonly followed: readonly string[];
}

/** Play the scenario of a seed. */
export async function simulate(seed: number, options: SimulationOptions = {}): Promise<Outcome> {
  return new Simulation(createPlan(seed, options.size, options.scheme)).run();
}

class Simulation {
  readonly #plan: Plan;
  readonly #federation: Federation;
  readonly #oracle: Oracle;
  readonly #endpoints: SimulatedEndpoint[];
  readonly #calm: Calm;
  readonly #trace: string[] = [];
  readonly #violations: string[] = [];
  #underWay = 0;
  #checks = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#calm = new Calm(plan.nodes);
    const journal: Journal = { note: (text) => this.#note(text), violation: (text) => this.#violation(text) };
    this.#federation = new Federation(plan, journal);
    this.#oracle = new Oracle(this.#federation.ledger, plan);
    this.#endpoints = plan.endpoints.map((endpoint) => new SimulatedEndpoint(endpoint, this.#federation));
  }

  async run(): Promise<Outcome> {
    const { clock } = this.#federation.world;
    for (const { name } of this.#plan.nodes) await this.#federation.settled(this.#federation.start(name));
    for (const [index, episode] of this.#plan.episodes.entries()) {
      this.#note(`episode ${index + 1}`);
      await this.#play(episode);
      await this.#heal();
      await this.#checkAll();
      if (this.#violations.length > 0) break;
    }
    if (this.#violations.length === 0 && this.#plan.nodes.some(({ memory }) => memory !== undefined))
      await this.#relieve();
    const virtualMs = clock.nowMs();
    await this.#close();
    return { seed: this.#plan.seed, violations: this.#violations, trace: this.#trace, virtualMs, checks: this.#checks };
  }

  async #play({ deeds, lengthMs }: Episode): Promise<void> {
    const { clock } = this.#federation.world;
    const startMs = clock.nowMs();
    for (const { atMs, deed } of deeds) {
      await clock.advance(startMs + atMs - clock.nowMs());
      await this.#do(deed);
    }
    await clock.advance(startMs + lengthMs - clock.nowMs());
  }

  /** End all faults, let requests under way end, and wait for as long as healing may take. */
  async #heal(): Promise<void> {
    const { clock } = this.#federation.world;
    await this.#do({ kind: "heal" });
    for (const { name } of this.#plan.nodes) {
      if (!this.#federation.isUp(name)) await this.#do({ kind: "start", node: name });
    }
    await clock.runUntil(() => this.#underWay === 0, PATIENCE_MS);
    if (this.#underWay > 0)
      this.#violation(`${this.#underWay} requests have not ended ${PATIENCE_MS} ms after healing`);
    await clock.advance(CONVERGENCE_MS);
  }

  /** When most registrations are gone, everything has room again: nothing is left out, and no answer is partial. */
  async #relieve(): Promise<void> {
    this.#note("most registrations are removed");
    for (const { name, address, isRd } of this.#plan.nodes) {
      if (!isRd) continue;
      const records = this.#federation.ledger.records(name);
      const kept = records.find(({ links }) => links.length <= FEW_LINKS);
      for (const record of records) {
        if (record === kept) continue;
        const request = { method: METHOD.DELETE, uri: `coap://[${address}]${record.href}` };
        await this.#federation.settled(this.#federation.probe.request(request));
      }
    }
    await this.#federation.world.clock.advance(RELIEF_MS);
    for (const { name } of this.#plan.nodes) {
      const node = this.#federation.node(name);
      if ((node?.onDisk ?? 0) > 0) this.#violation(`${name} has room and leaves ${node?.onDisk} registrations on disk`);
      for (const upstream of node?.upstreams() ?? [])
        if (upstream.leftOut.size > 0)
          this.#violation(`${name} has room and leaves ${[...upstream.leftOut]} of ${upstream.name} out`);
    }
    await this.#checkAll();
  }

  async #close(): Promise<void> {
    const closing = Promise.all([this.#federation.close(), ...this.#endpoints.map((endpoint) => endpoint.close())]);
    await this.#federation.world.clock.advance(PATIENCE_MS);
    await closing;
  }

  async #do(deed: Deed): Promise<void> {
    const { world } = this.#federation;
    const { network, clock } = world;
    if (deed.kind !== "probe") this.#note(describe(deed, this.#plan));
    this.#calm.note(deed, clock.nowMs());
    switch (deed.kind) {
      case "register":
      case "renew":
      case "remove":
        this.#follow((this.#endpoints[deed.endpoint] as SimulatedEndpoint).do(deed));
        return;
      case "weather": {
        const { kind: _, ...conditions } = deed;
        network.setConditions(conditions);
        return;
      }
      case "partition":
        network.partition(...deed.sides.map((side) => side.map((name) => this.#addressOf(name))));
        return;
      case "cut":
        network.setLink(this.#addressOf(deed.from), this.#addressOf(deed.to), { loss: 1 });
        return;
      case "slow":
        network.setLink(this.#addressOf(deed.from), this.#addressOf(deed.to), { delayMs: deed.delayMs });
        return;
      case "heal":
        network.heal();
        network.setConditions({ loss: 0, duplication: 0, delayMs: 1, jitterMs: 0 });
        this.#federation.shieldProbe();
        return;
      case "crash":
        this.#federation.crash(deed.node, deed.isDiskLost);
        return;
      case "start":
        await this.#federation.settled(this.#federation.start(deed.node));
        return;
      case "wall-jump":
        this.#federation.jumpWall(deed.node, deed.ms);
        return;
      case "probe":
        if (this.#federation.isUp(deed.lp)) this.#follow(this.#probe(this.#node(deed.lp)));
        return;
      default:
        deed satisfies never;
    }
  }

  /** During faults: nothing is shown past its end, and what undisturbed RDs hold is there. */
  async #probe(lp: NodePlan): Promise<void> {
    const askedMs = this.#federation.world.clock.nowMs();
    const undisturbed = this.#unhidden(this.#calm.undisturbed(lp, askedMs - CONVERGENCE_MS));
    const expected = this.#oracle.expectedKeys(undisturbed, askedMs, VISIBLE_MS);
    const lost = this.#lostBy(lp);
    const others = this.#askOthers(lp, askedMs);
    const answer = await this.#ask(lp, "ep", []).catch(() => null);
    const stillLost = this.#lostBy(lp).filter((rd) => lost.includes(rd));
    // 5.04: nothing at all is known yet (design section 6).
    if (answer === null || answer.code === CODE.GATEWAY_TIMEOUT || !this.#federation.isUp(lp.name)) return;
    this.#checks++;
    if (answer.code !== CODE.CONTENT) this.#violation(`during faults, ${lp.name} answered with code ${answer.code}`);
    for (const problem of this.#oracle.checkLifetimes(lp, answer.text, askedMs, LATENESS_MS)) {
      this.#violation(`during faults, ${lp.name} ${problem}`);
    }
    if (answer.isPartial && lp.memory !== undefined) return;
    const federation = { lost: stillLost, connected: undisturbed };
    for (const problem of this.#oracle.checkTies(lp, answer.text, federation, askedMs, VISIBLE_MS)) {
      this.#violation(`during faults, ${lp.name} ${problem}`);
    }
    for (const problem of this.#oracle.checkPresence(expected, answer.text)) {
      this.#violation(`during faults, ${lp.name} ${problem}`);
    }
    const own = { lp, text: answer.text, followed: this.#withOwn(lp, undisturbed) };
    this.#checkProbedAgreement([own, ...(await others)], askedMs);
  }

  #lostBy({ name, upstreams }: NodePlan): string[] {
    return (upstreams ?? []).filter((rd) => this.#federation.hasLost(name, rd));
  }

  /**
   * What the other proxies answer to the question that `lp` is asked, at the same moment: one of them may take seconds, in which
   * the order of renewals changes at all of them.
   */
  async #askOthers(lp: NodePlan, askedMs: number): Promise<ProbedAnswer[]> {
    const others = this.#plan.nodes.filter(
      (other) => other !== lp && other.upstreams !== null && this.#federation.isUp(other.name),
    );
    const probed = others.map(async (other): Promise<ProbedAnswer[]> => {
      const rds = this.#unhidden(this.#calm.undisturbed(other, askedMs - CONVERGENCE_MS));
      const answer = await this.#ask(other, "ep", []).catch(() => null);
      if (answer?.code !== CODE.CONTENT || (answer.isPartial && other.memory !== undefined)) return [];
      return [{ lp: other, text: answer.text, followed: this.#withOwn(other, rds) }];
    });
    return (await Promise.all(probed)).flat();
  }

  /** Every undisturbed proxy agrees with the others about what changed some seconds before `askedMs`. */
  #checkProbedAgreement(answers: readonly ProbedAnswer[], askedMs: number): void {
    const { clock } = this.#federation.world;
    const settledMs = VISIBLE_MS + clock.nowMs() - askedMs;
    for (const problem of this.#oracle.checkAgreement(answers, clock.nowMs(), settledMs)) {
      this.#violation(`during faults, ${problem}`);
    }
  }

  /** RDs that show all that they hold at any time: no restart leaves anything on disk. */
  #unhidden(rds: readonly string[]): string[] {
    return rds.filter((name) => this.#node(name).memory === undefined || !this.#node(name).hasDisk);
  }

  #withOwn({ name, isRd }: NodePlan, rds: readonly string[]): string[] {
    return isRd ? [...rds, name] : [...rds];
  }

  async #checkAll(): Promise<void> {
    for (const node of this.#plan.nodes) {
      if (node.upstreams === null) continue;
      for (const upstream of this.#federation.node(node.name)?.upstreams() ?? []) {
        // What had no room is copied again from time to time.
        const isCopying = node.memory !== undefined && upstream.phase === "copying";
        if (upstream.phase !== "live" && !isCopying) {
          this.#violation(`${node.name} has ${upstream.name} as ${upstream.phase}: ${upstream.lastError}`);
        }
      }
    }
    for (const node of this.#plan.nodes) {
      for (const question of battery(this.#plan)) await this.#check(node, question);
      await this.#checkPages(node);
    }
    await this.#checkAgreement();
  }

  async #checkAgreement(): Promise<void> {
    const answers = [];
    for (const lp of this.#plan.nodes) {
      if (lp.upstreams === null) continue;
      const { text, isPartial } = await this.#whole(lp, "ep", []);
      if (!isPartial) answers.push({ lp, text, followed: this.#withOwn(lp, this.#unhidden(lp.upstreams)) });
    }
    this.#checks++;
    for (const problem of this.#oracle.checkAgreement(answers, this.#federation.world.clock.nowMs(), VISIBLE_MS)) {
      this.#violation(`after healing, ${problem}`);
    }
  }

  async #check(node: NodePlan, question: Question): Promise<void> {
    const { text, isPartial } = await this.#whole(node, question.kind, questionItems(question));
    this.#checks++;
    if (isPartial && !this.#isShort(node)) this.#violation(`after healing, an answer of ${node.name} is partial`);
    const leniency = { isPartial, hidden: this.#hidden() };
    for (const problem of this.#oracle.check(node, question, text, this.#federation.world.clock.nowMs(), leniency)) {
      this.#violation(
        `after healing, ${node.name} asked ${question.kind}?${questionItems(question).join("&")} ${problem}`,
      );
    }
  }

  /** The pages of an answer, put together, are the answer. */
  async #checkPages(node: NodePlan): Promise<void> {
    // An RD that is asked for the beginning of its list does not tell what is newer further down.
    if (node.mode !== "replicate") return;
    const whole = await this.#answer(node, "ep", []);
    const pages: string[] = [];
    for (let page = 0; page <= this.#plan.endpoints.length / PAGE_SIZE; page++) {
      pages.push(await this.#answer(node, "ep", [`page=${page}`, `count=${PAGE_SIZE}`]));
    }
    // A lifetime may have ended in between.
    if ((await this.#answer(node, "ep", [])) !== whole) return;
    const joined = pages.filter((text) => text !== "").join(",");
    this.#checks++;
    if (joined !== whole)
      this.#violation(`after healing, ${node.name} shows other registrations by page: ${joined} for ${whole}`);
  }

  /** The text of an answer that has to come. */
  async #answer(node: NodePlan, kind: "ep" | "res", query: readonly string[]): Promise<string> {
    return (await this.#whole(node, kind, query)).text;
  }

  async #whole(node: NodePlan, kind: "ep" | "res", query: readonly string[]): Promise<Answer> {
    const answer = await this.#federation.settled(this.#ask(node, kind, query));
    // What an RD responds may need more memory to be read than there is, and nothing else may be known.
    const isUnreadable = answer.code === CODE.GATEWAY_TIMEOUT && node.memory !== undefined && node.mode !== "replicate";
    if (isUnreadable) return { ...answer, text: "", isPartial: true };
    if (answer.code !== CODE.CONTENT)
      this.#violation(`after healing, ${node.name} answered a lookup with code ${answer.code}`);
    return answer;
  }

  /** RDs that have no memory for all that they kept on disk. */
  #hidden(): string[] {
    return this.#plan.nodes.map(({ name }) => name).filter((name) => (this.#federation.node(name)?.onDisk ?? 0) > 0);
  }

  /** Whether a node, or an RD that it asks, has too little memory. */
  #isShort({ name, upstreams }: NodePlan): boolean {
    return [name, ...(upstreams ?? [])].some((one) => this.#node(one).memory !== undefined);
  }

  async #ask(node: NodePlan, kind: "ep" | "res", query: readonly string[]): Promise<Answer> {
    const uri = `coap://[${node.address}]/rd-lookup/${kind}`;
    const request = { method: METHOD.GET, uri, query, accept: CONTENT_FORMAT.LINK_FORMAT };
    const response = await this.#federation.probe.request(request, { timeoutMs: 20_000 });
    const isPartial = response.maxAgeS <= PARTIAL_MAX_AGE_S;
    return { code: response.code, text: new TextDecoder().decode(response.payload), isPartial };
  }

  #follow(work: Promise<void>): void {
    this.#underWay++;
    const done = () => this.#underWay--;
    work.then(done, (error: unknown) => {
      done();
      this.#violation(`the simulation failed: ${error}`);
    });
  }

  #node(name: string): NodePlan {
    return this.#plan.nodes.find((node) => node.name === name) as NodePlan;
  }

  #addressOf(name: string): string {
    return this.#node(name).address;
  }

  #note(text: string): void {
    this.#trace.push(`${(this.#federation.world.clock.nowMs() / 1000).toFixed(3).padStart(9)}  ${text}`);
  }

  #violation(text: string): void {
    this.#violations.push(text);
    this.#note(`VIOLATION ${text}`);
  }
}

/** An endpoint with an address of its own; it remembers where it is registered. */
class SimulatedEndpoint {
  readonly #plan: EndpointPlan;
  readonly #federation: Federation;
  readonly #client: CoapClient;
  readonly #locations = new Map<string, string>();
  #last: Extract<Deed, { kind: "register" }> | null = null;

  constructor(plan: EndpointPlan, federation: Federation) {
    this.#plan = plan;
    this.#federation = federation;
    this.#client = federation.openEndpoint(plan.address, 5683);
  }

  async do(deed: Extract<Deed, { endpoint: number }>): Promise<void> {
    // A request that goes unanswered: the endpoint goes on with its life.
    await this.#attempt(deed).catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #attempt(deed: Extract<Deed, { endpoint: number }>): Promise<void> {
    const location = this.#locations.get(deed.rd);
    if (deed.kind === "register") {
      this.#last = deed;
      await this.#register(deed);
    } else if (location === undefined) {
      return;
    } else if (deed.kind === "remove") {
      this.#locations.delete(deed.rd);
      await this.#client.request({ method: METHOD.DELETE, uri: location });
    } else {
      const query = deed.ltS === undefined ? [] : [`lt=${deed.ltS}`];
      const { code } = await this.#client.request({ method: METHOD.POST, uri: location, query });
      if (code === CODE.NOT_FOUND && this.#last !== null) await this.#register({ ...this.#last, rd: deed.rd });
    }
  }

  async #register({ rd, ltS, et, links }: Extract<Deed, { kind: "register" }>): Promise<void> {
    const { ep, d, address, isBaseExplicit } = this.#plan;
    const origin = this.#federation.originOf(rd);
    const response = await this.#client.request({
      method: METHOD.POST,
      uri: `${origin}/rd`,
      query: [
        `ep=${ep}`,
        ...(d === undefined ? [] : [`d=${d}`]),
        `lt=${ltS}`,
        ...(isBaseExplicit ? [`base=${new URL(origin).protocol}//[${address}]`] : []),
        `et=${et}`,
      ],
      contentFormat: CONTENT_FORMAT.LINK_FORMAT,
      payload: new TextEncoder().encode(links),
    });
    if (response.code === CODE.CREATED) this.#locations.set(rd, `${origin}/${response.locationPath.join("/")}`);
  }
}

/** The questions put to every node. */
function battery({ endpoints }: Plan): Question[] {
  const names = [...new Set(endpoints.map(({ ep }) => ep))].slice(0, 3);
  const criteria: Question["criteria"][] = [
    [],
    [["d", "north"]],
    [["ep", "node-1*"]],
    [["et", ENDPOINT_TYPES[0]]],
    [["rt", RESOURCE_TYPES[0]]],
    [
      ["rt", RESOURCE_TYPES[1]],
      ["d", "south"],
    ],
    ...names.map((ep) => [["ep", ep]] as const),
  ];
  return (["ep", "res"] as const).flatMap((kind) => criteria.map((some) => ({ kind, criteria: some })));
}

function questionItems({ criteria }: Question): string[] {
  return criteria.map(([name, value]) => `${name}=${value}`);
}

function describe(deed: Deed, { endpoints }: Plan): string {
  const { kind, ...rest } = deed;
  if ("endpoint" in deed) {
    const { ep, d } = endpoints[deed.endpoint] as EndpointPlan;
    const links = "links" in deed ? `, ${deed.links.slice(0, 24)}…` : "";
    const lifetime = "ltS" in deed && deed.ltS !== undefined ? ` for ${deed.ltS} s` : "";
    return `${ep}${d === undefined ? "" : ` @${d}`}: ${kind} at ${deed.rd}${lifetime}${links}`;
  }
  return `${kind} ${JSON.stringify(rest)}`;
}
