import type { Criterion } from "@tributary/link-model";
import { covers } from "@tributary/merge-engine";
import type { UpstreamStatus } from "@tributary/upstream-sync";

/** How one upstream takes part in the answer to one query. */
export type Participation =
  /** The replica has everything that the upstream could answer (draft 6.2.1). */
  | "copy"
  /** The same, but for what of the upstream is left out. */
  | "lossy-copy"
  /** The upstream itself has to be asked. */
  | "ask"
  /** It can neither be answered for nor asked at present. */
  | "missing"
  /** It takes no part: refused as an upstream (this node itself, another lookup proxy). */
  | "excluded";

/**
 * Decide how an upstream takes part in a query with these criteria. Pure.
 * The replica answers exactly when one of the conjunctions that it was filled by is implied by the query.
 */
export function participation(status: UpstreamStatus, criteria: readonly Criterion[]): Participation {
  if (status.phase === "refused" || status.phase === "closed") return "excluded";
  if (status.isComplete) {
    const covering = status.coverage.filter((filter) => covers(filter, criteria));
    if (covering.length > 0) return covering.every((filter) => isLossy(status, filter)) ? "lossy-copy" : "copy";
  }
  switch (status.phase) {
    case "probing":
    case "copying":
    case "live":
      return "ask";
    // Not reached yet; one that takes the place of another knows where to ask.
    case "idle":
    case "discovering":
      return status.capabilities.endpointLookup === undefined ? "missing" : "ask";
    // Lost: asking would only wait for the deadline. One that is mostly asked is tried all the same, because nothing but a request
    // finds out that it is back.
    case "stale":
    case "missing":
      return status.capabilities.endpointLookup !== undefined && status.mode !== "replicate" ? "ask" : "missing";
    default:
      return status.phase satisfies never;
  }
}

function isLossy({ lossyCoverage }: UpstreamStatus, filter: readonly Criterion[]): boolean {
  return lossyCoverage.includes(filter);
}
