import type { UpstreamStatus } from "@tributary/upstream-sync";

/** How many of the parts of a lookup must be there: this node's own registrations are one, each upstream is one. */
export type ReadyPolicy = "all" | "any" | number;

export interface Readiness {
  readonly isReady: boolean;
  /** Parts that are there. */
  readonly parts: number;
  /** Parts that are needed. */
  readonly needed: number;
}

type Part = Pick<UpstreamStatus, "phase" | "mode" | "isComplete">;

/**
 * Whether what an upstream has can be answered: from a complete copy, even of an RD that is lost, or by asking an RD that answers.
 * One that is refused, or of which there is nothing yet, has no part in any answer. Pure.
 */
export function isAnswerable({ phase, mode, isComplete }: Part): boolean {
  if (phase === "refused" || phase === "closed") return false;
  return mode === "replicate" ? isComplete : phase === "live";
}

/** Whether enough parts of a lookup are there. Without any part to wait for, lookups are answered. Pure. */
export function readiness(upstreams: readonly Part[], policy: ReadyPolicy, isDirectory: boolean): Readiness {
  const own = isDirectory ? 1 : 0;
  const all = upstreams.length + own;
  const parts = upstreams.filter(isAnswerable).length + own;
  const needed = policy === "all" ? all : policy === "any" ? Math.min(1, all) : policy;
  return { isReady: parts >= needed, parts, needed };
}
