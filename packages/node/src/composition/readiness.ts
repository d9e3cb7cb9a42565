import type { UpstreamStatus } from "@tributary/upstream-sync";

/** Number of sources that have to be available: each upstream is one, and so are this node's own registrations. */
export type ReadyPolicy = "all" | "any" | number;

/** Whether lookups are served as far as the policy requires. */
export interface Readiness {
  readonly isReady: boolean;
  /** Sources that are available. */
  readonly parts: number;
  /** Sources that are required. */
  readonly needed: number;
}

type Part = Pick<UpstreamStatus, "phase" | "mode" | "isComplete">;

/**
 * Whether lookups can include an upstream: from a complete copy, even while the RD cannot be reached, or by asking an RD that
 * responds. Pure.
 */
export function isAnswerable({ phase, mode, isComplete }: Part): boolean {
  if (phase === "refused" || phase === "closed") return false;
  return mode === "replicate" ? isComplete : phase === "live";
}

/** Whether enough sources are available. A node without any source is ready. Pure. */
export function readiness(upstreams: readonly Part[], policy: ReadyPolicy, isDirectory: boolean): Readiness {
  const own = isDirectory ? 1 : 0;
  const all = upstreams.length + own;
  const parts = upstreams.filter(isAnswerable).length + own;
  const needed = policy === "all" ? all : policy === "any" ? Math.min(1, all) : policy;
  return { isReady: parts >= needed, parts, needed };
}
