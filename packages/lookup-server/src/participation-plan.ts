import type { LookupContext } from "@tributary/lookup-interface";
import type { Upstream } from "@tributary/upstream-sync";
import { participation } from "./coverage.js";

/** An upstream of which a result may lack something. */
export interface MissingPart {
  readonly upstream: string;
  /** Its name with what is missing, where that is known. */
  readonly text: string;
}

/** How the upstreams take part in one lookup. */
export interface ParticipationPlan {
  /** At least one source is covered by a copy. */
  isAnyCovered: boolean;
  /** False: an upstream has to be informed of each lookup, so that the result must not be cached. */
  isCacheable: boolean;
  readonly asked: Upstream[];
  readonly missing: MissingPart[];
  /** Copies that will cover the query soon: to wait for them is cheaper for the upstream than to be asked. */
  readonly copies: Promise<void>[];
}

export interface PlanParts {
  readonly upstreams: readonly Upstream[];
  /** What this node itself should have and does not. */
  readonly missing: readonly string[];
  /** This node is an RD too. */
  readonly hasOwnSource: boolean;
}

/** Decides how each upstream takes part in a lookup, and informs those that want to know of it. */
export function planParticipation({ query, scope }: LookupContext, parts: PlanParts): ParticipationPlan {
  const plan: ParticipationPlan = {
    isAnyCovered: parts.hasOwnSource,
    asked: [],
    missing: parts.missing.map(absent),
    copies: [],
    isCacheable: true,
  };
  for (const upstream of parts.upstreams) {
    const planning = upstream.planning();
    const part = participation(planning, query.criteria);
    if (planning.countsLookups) {
      upstream.noteLookup(query.criteria);
      plan.isCacheable = false;
    }
    if (part === "copy" || part === "lossy-copy") plan.isAnyCovered = true;
    if (part === "lossy-copy") plan.missing.push(leftOutOf(upstream.name, planning.leftOut));
    else if (part === "partial-copy") plan.missing.push(beingCopied(upstream.name));
    // Proxies that follow each other would ask each other without end.
    else if (part === "ask" && planning.isTier && scope === "directories") plan.missing.push(absent(upstream.name));
    else if (part === "ask") {
      plan.asked.push(upstream);
      const copy = upstream.copyUnderWay(query.criteria);
      if (copy !== undefined) plan.copies.push(copy);
    } else if (part === "missing") plan.missing.push(absent(upstream.name));
  }
  return plan;
}

/** What of an upstream has not been copied yet is missing. */
function beingCopied(upstream: string): MissingPart {
  return { upstream, text: `${upstream} (being copied)` };
}

/** All of an upstream is missing. */
export function absent(upstream: string): MissingPart {
  return { upstream, text: upstream };
}

/** Part of an upstream could not be taken; counts by cause. */
export function leftOutOf(upstream: string, counts: Iterable<readonly [cause: string, count: number]>): MissingPart {
  const text = [...counts].map(([cause, count]) => `${count} ${cause}`).join(", ");
  return { upstream, text: `${upstream} (left out: ${text})` };
}
