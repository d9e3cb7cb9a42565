import { type Link, parseLinkFormat } from "@tributary/link-model";
import { endOf, keyOf, type Ledger, type LedgerLink, type LedgerRecord, type Pair } from "./ledger.ts";
import type { NodePlan, Plan, Scheme } from "./scenario.ts";

/** A lookup of the battery. */
export interface Question {
  readonly kind: "ep" | "res";
  /** Criteria; a value that ends with `*` is a prefix. */
  readonly criteria: readonly Pair[];
}

/** Where the registrations are that an LP shows. */
type Shown = ReadonlyMap<string, { readonly rd: string; readonly href: string } | undefined>;

/** What an LP shows for one registration, as sorted text. */
type Rendering = string;

/** Ages on the ordinary lookups are whole seconds, and requests take their time. */
const AGE_MS = 1_500;
/** A registration at a lost RD counts as renewed so much earlier. */
const LOST_PENALTY_MS = 1_000;
/** Ends so close to the moment of asking may be seen either way. */
const END_SLACK_MS = 2_000;

/** Computes what an LP has to answer from what its RDs acknowledged; knows nothing of how LPs work. */
export class Oracle {
  readonly #ledger: Ledger;
  readonly #nodes: ReadonlyMap<string, NodePlan>;
  readonly #scheme: Scheme;
  readonly #clockErrorMs: number;

  constructor(ledger: Ledger, { nodes, scheme, clockErrorMs }: Pick<Plan, "nodes" | "scheme" | "clockErrorMs">) {
    this.#clockErrorMs = clockErrorMs;
    this.#ledger = ledger;
    this.#scheme = scheme;
    this.#nodes = new Map(nodes.map((node) => [node.name, node]));
  }

  /**
   * What is wrong with an answer, in words; nothing: it is right. One that says that it is partial may lack registrations and
   * show older ones in their stead. So may any where `hidden` RDs have registrations on disk only.
   */
  check(
    lp: NodePlan,
    question: Question,
    answer: string,
    nowMs: number,
    { isPartial = false, hidden = [] }: { readonly isPartial?: boolean; readonly hidden?: readonly string[] } = {},
  ): string[] {
    const groups = readAnswer(question.kind, answer);
    if (typeof groups === "string") return [groups];
    const problems: string[] = [];
    const known = this.#acceptable(lp, question, nowMs);
    for (const [key, shown] of groups) if (!known.has(key)) problems.push(`shows ${key}, which no RD holds: ${shown}`);
    for (const [key, { records, all, mayBeAbsent }] of known) {
      const shown = groups.get(key) ?? "";
      const isLoose = isPartial || all.some(({ rd }) => hidden.includes(rd));
      if (isLoose && (shown === "" || all.some((record) => this.#render(lp, question, record) === shown))) continue;
      const wanted = records.map((record) => this.#render(lp, question, record));
      if (wanted.includes(shown) || (mayBeAbsent && shown === "")) continue;
      problems.push(
        `${key}: shows ${shown || "nothing"}, expected ${wanted.map((text) => text || "nothing").join(" or ")}`,
      );
    }
    return problems;
  }

  /** During faults: everything shown was acknowledged by its RD once, and has not ended more than `slackMs` ago. */
  checkLifetimes(lp: NodePlan, answer: string, nowMs: number, slackMs: number): string[] {
    const parsed = parseLinkFormat(answer);
    if (!parsed.ok) return ["the answer cannot be read"];
    return parsed.links.flatMap((link) => {
      const key = keyOfLink(link);
      const place = this.#placeOf(lp, link.target);
      const endMs = place === undefined ? undefined : this.#ledger.latestEndMs(place.rd, place.href, key);
      if (endMs === undefined) return [`shows ${key} at ${link.target}, which was never acknowledged`];
      const lateMs = nowMs - endMs;
      return lateMs > slackMs ? [`shows ${key} at ${link.target} ${Math.round(lateMs)} ms past its end`] : [];
    });
  }

  /** What of these RDs has to be shown by the proxies that follow them: acknowledged `visibleMs` ago, and not about to end. */
  expectedKeys(rds: readonly string[], nowMs: number, visibleMs: number): LedgerRecord[] {
    return rds
      .flatMap((rd) => this.#ledger.records(rd))
      .filter((record) => record.renewedAtMs + visibleMs <= nowMs && endOf(record) > nowMs + END_SLACK_MS);
  }

  /** During faults: every key of `expected` is shown, by this registration or another, unless it was removed meanwhile. */
  checkPresence(expected: readonly LedgerRecord[], answer: string): string[] {
    const parsed = parseLinkFormat(answer);
    if (!parsed.ok) return ["the answer cannot be read"];
    const shown = new Set(parsed.links.map(keyOfLink));
    return expected
      .filter(({ ep, d }) => !shown.has(keyOf(ep, d)))
      .filter(({ rd, href }) => this.#ledger.records(rd).some((record) => record.href === href))
      .map(({ rd, href, ep, d }) => `does not show ${keyOf(ep, d)}, which ${rd} holds at ${href}`);
  }

  /**
   * Two proxies that know two registrations of one endpoint agree on which of them to show, whatever it is. `settledMs`: what
   * was renewed later may not have arrived. `followedBy`: RDs that a proxy is certain to follow at the moment.
   */
  checkAgreement(
    answers: readonly { readonly lp: NodePlan; readonly text: string; readonly followed: readonly string[] }[],
    nowMs: number,
    settledMs: number,
  ): string[] {
    // Two that ask see whole seconds.
    const exact = answers.filter(({ lp }) => lp.mode === "replicate");
    const shown = exact.map(({ lp, text }) => this.#placesByKey(lp, text));
    return exact.flatMap((one, index) =>
      exact.slice(index + 1).flatMap((other, further) => {
        const rds = one.followed.filter((rd) => other.followed.includes(rd));
        return this.#disagreements(
          [one.lp, other.lp],
          [shown[index] as Shown, shown[index + 1 + further] as Shown],
          rds,
          nowMs,
          settledMs,
        );
      }),
    );
  }

  /**
   * A registration at an RD that the proxy has lost is not shown where it knows one at another RD that was renewed as late, within what
   * clocks may differ by (design section 5, rule 1). `settledMs`: what was renewed later may not have arrived.
   */
  checkTies(
    lp: NodePlan,
    answer: string,
    { lost, connected }: { readonly lost: readonly string[]; readonly connected: readonly string[] },
    nowMs: number,
    settledMs: number,
  ): string[] {
    if (lp.mode !== "replicate" || lost.length === 0) return [];
    const known = this.expectedKeys(connected, nowMs, settledMs);
    return [...this.#placesByKey(lp, answer)].flatMap(([key, place]) => {
      if (place === undefined || !lost.includes(place.rd)) return [];
      const shown = this.#ledger
        .records(place.rd)
        .find((one) => one.href === place.href && keyOf(one.ep, one.d) === key);
      if (shown === undefined) return [];
      const leastMs = shown.renewedAtMs - LOST_PENALTY_MS + this.#clockErrorMs;
      const better = known.find(({ ep, d, renewedAtMs }) => keyOf(ep, d) === key && renewedAtMs > leastMs);
      if (better === undefined) return [];
      return [`shows ${key} at ${place.rd}, which is lost, and not at ${better.rd}, which is not`];
    });
  }

  #placesByKey(lp: NodePlan, text: string): Shown {
    const parsed = parseLinkFormat(text);
    if (!parsed.ok) return new Map();
    return new Map(parsed.links.map((link) => [keyOfLink(link), this.#placeOf(lp, link.target)]));
  }

  #disagreements(
    [one, other]: readonly [NodePlan, NodePlan],
    [left, right]: readonly [Shown, Shown],
    rds: readonly string[],
    nowMs: number,
    settledMs: number,
  ): string[] {
    const problems: string[] = [];
    for (const [key, place] of left) {
      const otherPlace = right.get(key);
      if (place === undefined || otherPlace === undefined) continue;
      if (place.rd === otherPlace.rd && place.href === otherPlace.href) continue;
      const both = [place, otherPlace];
      const known = rds.flatMap((rd) => this.#ledger.records(rd)).filter(({ ep, d }) => keyOf(ep, d) === key);
      const isSettled = known.every(
        (record) => record.renewedAtMs + settledMs <= nowMs && Math.abs(endOf(record) - nowMs) > END_SLACK_MS,
      );
      const areLive = both.every(({ rd, href }) =>
        known.some((record) => record.rd === rd && record.href === href && endOf(record) > nowMs),
      );
      if (isSettled && areLive)
        problems.push(`${one.name} shows ${key} at ${place.rd} and ${other.name} at ${otherPlace.rd}`);
    }
    return problems;
  }

  /** By key (links: by base), the registrations that may be shown (design section 5, rules 1 and 2). */
  #acceptable(
    lp: NodePlan,
    { kind, criteria }: Question,
    nowMs: number,
  ): Map<string, { records: LedgerRecord[]; all: LedgerRecord[]; mayBeAbsent: boolean }> {
    const errorMs = lp.mode === "replicate" ? this.#clockErrorMs : askedErrorMs(criteria, this.#clockErrorMs);
    const byKey = new Map<string, LedgerRecord[]>();
    for (const rd of followed(lp)) {
      for (const record of this.#ledger.records(rd)) {
        if (endOf(record) + END_SLACK_MS <= nowMs) continue;
        const key = kind === "ep" ? keyOf(record.ep, record.d) : record.base;
        byKey.set(key, [...(byKey.get(key) ?? []), record]);
      }
    }
    return new Map(
      [...byKey].map(([key, records]) => {
        const sure = records.filter((record) => endOf(record) - END_SLACK_MS > nowMs);
        const latestMs = Math.max(...sure.map(({ renewedAtMs }) => renewedAtMs), Number.NEGATIVE_INFINITY);
        const near = records.filter(({ renewedAtMs }) => renewedAtMs >= latestMs - errorMs);
        return [key, { records: near, all: records, mayBeAbsent: sure.length === 0 }];
      }),
    );
  }

  #render(lp: NodePlan, { kind, criteria }: Question, record: LedgerRecord): Rendering {
    const href = this.#shownHref(lp, record);
    const own: Pair[] = [
      ["ep", record.ep],
      ...(record.d === undefined ? [] : ([["d", record.d]] as const)),
      ["base", record.base],
      ["rt", "core.rd-ep"],
      ...record.attributes,
    ];
    const ofRegistration = (criterion: Pair) =>
      own.some((pair) => matches(criterion, pair)) || matches(criterion, ["href", href]);
    if (kind === "ep") {
      const fits = criteria.every(
        (criterion) => ofRegistration(criterion) || record.links.some((link) => ofLink(criterion, link)),
      );
      return fits ? render({ target: href, attributes: own }) : "";
    }
    const links = record.links.filter((link) =>
      criteria.every((criterion) => ofRegistration(criterion) || ofLink(criterion, link)),
    );
    return links.map(render).sort().join("\n");
  }

  #shownHref(lp: NodePlan, { rd, href }: LedgerRecord): string {
    return rd === lp.name ? href : `${this.#originOf(rd)}${href}`;
  }

  #originOf(rd: string): string {
    return `${this.#scheme}://[${this.#nodes.get(rd)?.address}]`;
  }

  #placeOf(lp: NodePlan, target: string): { rd: string; href: string } | undefined {
    if (target.startsWith("/")) return { rd: lp.name, href: target };
    for (const rd of followed(lp)) {
      const origin = this.#originOf(rd);
      if (target.startsWith(`${origin}/`)) return { rd, href: target.slice(origin.length) };
    }
    return undefined;
  }
}

/** The RDs whose registrations an LP shows: its upstreams, and itself when it is an RD as well. */
function followed(lp: NodePlan): string[] {
  return [...(lp.upstreams ?? []), ...(lp.isRd ? [lp.name] : [])];
}

/**
 * An RD that is asked gives ages in whole seconds. A newer registration that does not match the lookup is not part of the result at
 * all, so that the older one is shown (docs/modes.md).
 */
function askedErrorMs(criteria: Question["criteria"], clockErrorMs: number): number {
  const isByKey = criteria.every(([name]) => name === "ep" || name === "d");
  return isByKey ? clockErrorMs + AGE_MS : Number.POSITIVE_INFINITY;
}

function ofLink(criterion: Pair, link: LedgerLink): boolean {
  return [...link.attributes, ["href", link.target] as const].some((pair) => matches(criterion, pair));
}

/** RFC 9176 section 6: equality or prefix; lists separated by spaces are matched by their members. */
function matches([name, wanted]: Pair, [given, value]: Pair): boolean {
  if (name !== given || value === null || wanted === null) return false;
  const values = name === "rt" || name === "if" || name === "rel" ? value.split(" ") : [value];
  return values.some((one) => (wanted.endsWith("*") ? one.startsWith(wanted.slice(0, -1)) : one === wanted));
}

function render({ target, attributes }: LedgerLink): Rendering {
  const parts = attributes.map(([name, value]) => (value === null ? name : `${name}="${value}"`)).sort();
  return [`<${target}>`, ...parts].join(";");
}

/** The links of an answer by registration; a text says why it cannot be read. Each base belongs to one key here. */
function readAnswer(kind: "ep" | "res", answer: string): Map<string, Rendering> | string {
  const parsed = parseLinkFormat(answer);
  if (!parsed.ok) return "the answer cannot be read";
  const groups = new Map<string, Rendering[]>();
  for (const link of parsed.links) {
    const key = kind === "ep" ? keyOfLink(link) : baseOf(link);
    groups.set(key, [...(groups.get(key) ?? []), render({ target: link.target, attributes: [...link.attributes] })]);
  }
  return new Map([...groups].map(([key, links]) => [key, links.sort().join("\n")]));
}

function keyOfLink({ attributes }: Link): string {
  const value = (wanted: string) => attributes.find(([name]) => name === wanted)?.[1] ?? undefined;
  return keyOf(value("ep") ?? "?", value("d"));
}

function baseOf({ target }: Link): string {
  return /^coap(\+tcp)?:\/\/\[[^\]]*\]/.exec(target)?.[0] ?? target;
}
