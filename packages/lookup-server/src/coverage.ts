import type { Criterion } from "@tributary/link-model";
import { covers } from "@tributary/merge-engine";
import type { UpstreamPlanning } from "@tributary/upstream-sync";

/** How one upstream takes part in one lookup. */
export type Participation =
  /** The copy has everything that the upstream could return (draft 6.2.1). */
  | "copy"
  /** The same, except for what is left out of the copy. */
  | "lossy-copy"
  /** The copy has a part, and the upstream is busy being copied. */
  | "partial-copy"
  /** The upstream itself has to be asked. */
  | "ask"
  /** There is no copy, and it cannot be asked at present. */
  | "missing"
  /** It takes no part: it was refused as an upstream (this node itself, another lookup proxy). */
  | "excluded";

/**
 * Decides how an upstream takes part in a lookup with these criteria. Pure.
 * The copy is used exactly if the query implies one of the conjunctions that the copy was made with.
 */
export function participation(upstream: UpstreamPlanning, criteria: readonly Criterion[]): Participation {
  if (upstream.phase === "refused" || upstream.phase === "closed") return "excluded";
  if (upstream.isComplete) {
    const covering = upstream.coverage.filter((filter) => covers(filter, criteria));
    if (covering.length > 0) return covering.every((filter) => isLossy(upstream, filter)) ? "lossy-copy" : "copy";
  }
  switch (upstream.phase) {
    case "probing":
    case "copying":
    case "live":
      return upstream.showsPart === true && criteria.length === 0 ? "partial-copy" : "ask";
    // Not reached yet. An upstream that replaces another one for the same RD knows already where to ask.
    case "idle":
    case "discovering":
      return upstream.capabilities.endpointLookup === undefined ? "missing" : "ask";
    // Lost: a request would only wait for the deadline. An upstream that is not copied is asked all the same, because only a
    // request can find out that it is back.
    case "stale":
    case "missing":
      return upstream.capabilities.endpointLookup !== undefined && upstream.mode !== "replicate" ? "ask" : "missing";
    default:
      return upstream.phase satisfies never;
  }
}

function isLossy({ lossyCoverage }: UpstreamPlanning, filter: readonly Criterion[]): boolean {
  return lossyCoverage.includes(filter);
}
