import type { Criterion } from "@tributary/link-model";
import { covers } from "@tributary/merge-engine";
import type { Discovered } from "./discovery/discovery.js";
import type { CapabilityReport, UpstreamOptions, UpstreamPhase } from "./types.js";

/**
 * What one upstream leaves to another that takes its place for the same RD, in whatever phase it is: what is known of the RD,
 * so that it can be asked without a gap, and which part of what is held is complete.
 */
export interface Handover {
  readonly phase: UpstreamPhase;
  readonly found: Discovered | null;
  readonly capabilities: CapabilityReport;
  /** Conjunctions of which the source in the directory has everything. */
  readonly complete: readonly (readonly Criterion[])[];
  /** How its entries were read; read in another way they are others. */
  readonly reading: string;
}

/** How the entries of an upstream are read, as text that can be compared: all that does not only concern the way of asking. Pure. */
export function readingOf(options: UpstreamOptions): string {
  const { name: _, mode, filters, timeoutMs, pollMs, concurrency, ...reading } = options;
  return JSON.stringify(reading);
}

/** Whether what was handed over is all that `options` ask to be copied. Pure. */
export function isCompleteFor(options: UpstreamOptions, handover: Handover | undefined): boolean {
  if (handover === undefined || options.mode !== "replicate" || handover.reading !== readingOf(options)) return false;
  const wanted = options.filters.length === 0 ? [[]] : options.filters;
  return wanted.every((criteria) => handover.complete.some((filter) => covers(filter, criteria)));
}
