import type { RunResult } from "./run.js";
import type { LookupFigures } from "./sightings.js";

/** Figures of a run by name, ready for a table. */
export function figuresOf(run: RunResult): Record<string, string | number> {
  const { options, plan, journal, held, amnesia, losses } = run;
  const count = (kind: string) => plan.filter(({ fault }) => fault.kind === kind).length;
  const acknowledged = (op: string) => journal.filter((one) => one.kind === "acknowledged" && one.op === op).length;
  const lookups = Object.values(run.lookups);
  const sum = (of: (figures: LookupFigures) => number) => lookups.reduce((total, one) => total + of(one), 0);
  const longestMs = Math.max(0, ...run.overdue.map(({ byMs }) => byMs));
  const perProxy = (values: Readonly<Record<string, number>>) =>
    Object.entries(values)
      .map(([lp, value]) => `${lp} ${value}`)
      .join(", ");
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  return {
    "store, snapshot": `${options.store}, ${options.snapshot ?? "none"}`,
    seed: options.seed,
    "faults: kills, cuts, pairs apart, one-way, loss": ["kill", "cut", "apart", "one-way", "loss"]
      .map(count)
      .join(", "),
    "acknowledged: registrations, renewals, removals": ["register", "renew", "remove"].map(acknowledged).join(", "),
    "requests of endpoints without an answer": journal.filter(({ kind }) => kind === "silent").length,
    "registrations held in the end": held.size,
    "found at the RD that acknowledged them last": held.size - losses.lost.length,
    "found at each LP": perProxy(run.foundAt),
    "shown twice in one answer": run.doubles,
    "lost: all, of RDs that lost their memory": `${losses.lost.length}, ${losses.expected.length}`,
    "renewals answered 4.04: all, unexplained": `${amnesia.total}, ${amnesia.unexplained.length}`,
    "lookups: answered, 5.04, unanswered while down": [
      sum((one) => one.answered),
      sum((one) => one.refused),
      sum((one) => one.unansweredWhileDown),
    ].join(", "),
    "lookups: unanswered while up, or wrong": sum((one) => one.faults.length),
    "slowest answer of an LP that was up": seconds(Math.max(...lookups.map(({ slowestMs }) => slowestMs))),
    "shown after the end of the lifetime, at most": seconds(longestMs),
    "from healing until every endpoint was acknowledged again": seconds(run.settledMs),
    "from healing until each LP agreed": run.agreed.map(({ lp, afterMs }) => `${lp} ${seconds(afterMs)}`).join(", "),
    "LP restarted while cut off: lookups answered, 5.04": `${run.cutOffRestart.answered}, ${run.cutOffRestart.refused}`,
    "LP restarted while cut off: long-lived entries shown": `${run.cutOffRestart.sleepersShown} of ${run.cutOffRestart.sleepers}`,
    "LP restarted while cut off: agreed after healing": seconds(run.cutOffRestart.agreed.afterMs),
  };
}

/** One run's figures as text, or several as JSON lines. */
export function formatFigures(figures: Record<string, string | number>, isJson: boolean): string {
  if (isJson) return `${JSON.stringify(figures)}\n`;
  const width = Math.max(...Object.keys(figures).map(({ length }) => length));
  return `${Object.entries(figures)
    .map(([name, value]) => `${name.padEnd(width)}  ${value}`)
    .join("\n")}\n\n`;
}
