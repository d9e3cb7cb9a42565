import type { Criterion } from "@tributary/link-model";
import type { Directory, SourcedRegistration } from "@tributary/merge-engine";
import type { Clock } from "@tributary/runtime";
import type { UpstreamPhase, UpstreamStatus } from "@tributary/upstream-sync";
import type { EventLog } from "../observability/event-log.js";
import { type EventView, isSelected, viewEvent } from "./events.js";
import { type RegistrationView, viewRegistration } from "./registrations.js";
import { type Route, sendError, sendJson } from "./router.js";

/** One registration of an endpoint, and why lookups show it or not. */
export interface ExplainedRegistration extends RegistrationView {
  readonly reason: string;
}

/** What an upstream contributes to what is known of an endpoint. */
export interface ExplainedUpstream {
  readonly name: string;
  readonly uri: string;
  readonly phase: UpstreamPhase;
  /** Whether a registration of the endpoint is copied from it. */
  readonly has: boolean;
  /** Why there is none, or why what is there may be out of date. */
  readonly reason: string;
}

/** What this node knows of an endpoint. */
export interface Explanation {
  readonly ep: string;
  readonly d?: string;
  /** By sector, and in each one the registration first that lookups show. */
  readonly registrations: readonly ExplainedRegistration[];
  readonly upstreams: readonly ExplainedUpstream[];
  /** What happened to it, as far as it is remembered, oldest first. */
  readonly events: readonly EventView[];
}

/** Collaborators of `explainEndpoint`. */
export interface WhyDeps {
  readonly directory: Directory;
  readonly upstreams: () => readonly UpstreamStatus[];
  readonly events: EventLog;
  readonly clock: Clock;
}

/** Sectors of one endpoint name that are explained; more would be a directory of their own. */
const MAX_SECTORS = 100;
const MAX_EVENTS = 200;

/** `/api/why?ep=NAME`, with `d=SECTOR` for one sector only; `d=` is the endpoint without one. */
export function whyRoute(deps: WhyDeps): Route {
  return {
    path: "/api/why",
    handle({ query }, response) {
      const ep = query.get("ep");
      const d = query.get("d");
      const unknown = [...query.keys()].find((name) => name !== "ep" && name !== "d");
      if (ep === null || ep === "") sendError(response, 400, "ep is the name of an endpoint");
      else if (unknown !== undefined) sendError(response, 400, `there is no parameter ${unknown}`);
      else sendJson(response, 200, explainEndpoint(deps, ep, d ?? undefined));
    },
  };
}

/** Says what is known of an endpoint, and why. `d`: only this sector; the empty text: without a sector. */
export function explainEndpoint(deps: WhyDeps, ep: string, d?: string): Explanation {
  const { directory, events, clock } = deps;
  const criteria: Criterion[] = [{ name: "ep", value: ep, isPrefix: false }];
  const sectors: (string | undefined)[] = [];
  for (const { d: sector } of directory.select({ criteria, showProvenance: false }, clock.nowMs())) {
    if (d === undefined || (sector ?? "") === d) sectors.push(sector);
    if (sectors.length === MAX_SECTORS) break;
  }
  const registrations = sectors.flatMap((sector) => explainSector(deps, directory.candidates(ep, sector)));
  const selection = { ep, ...(d === undefined ? {} : { d }) };
  const latest = [...events.since(0)].filter((event) => isSelected(event, selection)).slice(-MAX_EVENTS);
  return {
    ...selection,
    registrations,
    upstreams: deps.upstreams().map((status) => explainUpstream(status, { ep, d }, registrations)),
    events: latest.map(viewEvent),
  };
}

/** The first one is shown. */
function explainSector({ directory, clock }: WhyDeps, all: readonly SourcedRegistration[]): ExplainedRegistration[] {
  return all.map((registration, at) => {
    const isStale = !directory.isConnected(registration.source);
    const state = at > 0 ? "superseded" : isStale ? "stale" : "visible";
    const reason = at === 0 ? whyShown(isStale, all) : whyHidden(registration, all[0] as SourcedRegistration, isStale);
    return { ...viewRegistration(registration, state, isStale, clock), reason };
  });
}

function whyShown(isStale: boolean, all: readonly SourcedRegistration[]): string {
  const place = all.length === 1 ? "the only registration that is known" : "renewed last of all that are known";
  return isStale ? `${place}; its RD is not reached, so it is shown until its lifetime ends` : place;
}

function whyHidden({ orderMs }: SourcedRegistration, shown: SourcedRegistration, isStale: boolean): string {
  const earlierS = (shown.orderMs - orderMs) / 1000;
  const lost = isStale ? "; its RD is not reached" : "";
  if (earlierS > 0) return `renewed ${earlierS.toFixed(1)} s before the one at ${shown.shownHref}${lost}`;
  if (earlierS < 0 && isStale)
    return `its RD is not reached, and it was renewed only ${(-earlierS).toFixed(1)} s after the one at ${shown.shownHref}`;
  return `renewed at the same time as the one at ${shown.shownHref}, which goes first${lost}`;
}

function explainUpstream(
  status: UpstreamStatus,
  endpoint: { readonly ep: string; readonly d: string | undefined },
  registrations: readonly ExplainedRegistration[],
): ExplainedUpstream {
  const { name, uri, phase } = status;
  const has = registrations.some(({ source }) => source === name || status.sources.includes(source));
  return { name, uri, phase, has, reason: upstreamReason(status, has, endpoint) };
}

function upstreamReason(
  status: UpstreamStatus,
  has: boolean,
  endpoint: { readonly ep: string; readonly d: string | undefined },
): string {
  const { mode, phase, coverage, leftOut, lastError } = status;
  const error = lastError === undefined ? "" : `: ${lastError}`;
  if (mode === "forward") return "nothing is copied from it: it is asked for each lookup (mode forward)";
  if (phase !== "live") return has ? `not reached${error}; its copy may be out of date` : `not reached${error}`;
  if (has) return "its copy has the endpoint";
  if (!coverage.some((criteria) => mayCover(criteria, endpoint)))
    return "its copy does not include this endpoint (filters, or mode auto)";
  const causes = [...leftOut].map(([cause, count]) => `${count} ${cause}`);
  if (causes.length > 0) return `does not list it, but parts of it are left out: ${causes.join(", ")}`;
  return status.isComplete ? "its copy is complete, and it has no such endpoint" : "its copy is not complete yet";
}

/** Whether a conjunction of criteria allows the endpoint, as far as name and sector tell. */
function mayCover(
  criteria: readonly Criterion[],
  { ep, d }: { readonly ep: string; readonly d: string | undefined },
): boolean {
  return criteria.every(({ name, value, isPrefix }) => {
    const own = name === "ep" ? ep : name === "d" ? d : undefined;
    return own === undefined || (isPrefix ? own.startsWith(value) : own === value);
  });
}
