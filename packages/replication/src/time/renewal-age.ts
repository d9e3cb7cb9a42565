import type { Registration } from "@tributary/merge-engine";

/** The wall clock of an RD: the time of day at moments of its monotonic clock. */
export interface WallClock {
  /** Wall-clock time of a moment, ms since the Unix epoch, whole microseconds. */
  stampOf(ms: number): number;
  /** How far federation time is ahead of it, ms. */
  readonly leadMs: number;
}

/** When something was renewed, as an entry of the endpoint feed tells it. */
export interface ReportedRenewal {
  /** Value of `lt-age`. */
  readonly ageS: number;
  /** Value of `@renewed`; undefined: it follows from the age and the reading of the clock in the same patch. */
  readonly renewedMs: number | undefined;
}

/** Age of the last renewal in whole seconds, 0..lt (draft 5.2). Pure. */
export function lifetimeAgeS(registration: Pick<Registration, "renewedAtMs" | "ltMs">, nowMs: number): number {
  const ageS = Math.max(0, Math.floor((nowMs - registration.renewedAtMs) / 1000));
  return registration.ltMs === undefined ? ageS : Math.min(ageS, Math.floor(registration.ltMs / 1000));
}

/**
 * What to tell of the last renewal. With a wall clock the age is exact to the microsecond, so that every reader computes the
 * same time from it, whenever it was sent. Pure.
 */
export function reportedRenewal(
  registration: Pick<Registration, "renewedAtMs" | "ltMs" | "stampMs">,
  nowMs: number,
  wallClock?: WallClock,
): ReportedRenewal {
  const { renewedAtMs, stampMs } = registration;
  if (wallClock === undefined) return { ageS: lifetimeAgeS(registration, nowMs), renewedMs: undefined };
  const ageUs = Math.round(wallClock.stampOf(nowMs) * 1000) - Math.round(wallClock.stampOf(renewedAtMs) * 1000);
  return { ageS: Math.max(0, ageUs) / 1_000_000, renewedMs: stampMs };
}
