import { parseLinkFormat } from "@tributary/link-model";
import { FEDERATION_TOLERANCE_MS, type FederationClock, MergeError } from "@tributary/merge-engine";
import type { Environment } from "@tributary/runtime";
import type { RegistrationStore } from "../store/types.js";
import type { StoredRegistration } from "../stored-registration.js";
import { dormantUntilMs } from "./dormant-collection.js";
import { keptWeight, type OwnMemory, registrantOfBase } from "./own-memory.js";
import type { RegistrationsOnDisk } from "./registrations-on-disk.js";
import type { Registry } from "./registry.js";

export interface RestoreDeps {
  readonly store: RegistrationStore;
  readonly env: Environment;
  /** Tells which wall-clock time a moment has. */
  readonly federation: FederationClock;
  readonly registry: Registry;
  readonly memory: OwnMemory;
  /** Takes what there is no memory for. */
  readonly onDisk: RegistrationsOnDisk;
  /** Shows a registration, renewed at a moment of the monotonic clock; returns its weight in the directory. */
  readonly show: (stored: StoredRegistration, renewedAtMs: number, stampMs?: number) => number;
  /** Removes a registration everywhere. */
  readonly forget: (stored: StoredRegistration) => unknown;
}

type Outcome =
  | "taken"
  /** The store need not keep it any longer. */
  | "over"
  | "no-memory";

/**
 * Takes over what the store kept. A registration that cannot be shown is reported and left out; one for which there is no memory
 * stays on disk; the others are served.
 */
export async function restoreRegistrations(deps: RestoreDeps): Promise<void> {
  const { store, env, onDisk } = deps;
  for await (const stored of store.load()) {
    try {
      const outcome = await restore(deps, stored);
      if (outcome === "over") await deps.forget(stored);
      else if (outcome === "no-memory") onDisk.add(stored);
    } catch (error) {
      env.logger.warn("a stored registration was left out", { error, id: stored.id, ep: stored.ep });
    }
  }
  if (onDisk.size > 0)
    env.logger.warn("the store holds more than there is memory for; the rest stays on disk and is not shown", {
      shown: deps.registry.live,
      onDisk: onDisk.size,
      hint: "raise limits.memory or limits.registrations, or give the process more heap",
    });
}

/** Takes over one registration that was on disk only; false: there is still no memory for it. */
export async function bringBack(deps: RestoreDeps, stored: StoredRegistration): Promise<boolean> {
  if (deps.registry.has(stored.id)) return true;
  const outcome = await restore(deps, stored);
  if (outcome === "over") await deps.forget(stored);
  return outcome !== "no-memory";
}

async function restore(deps: RestoreDeps, stored: StoredRegistration): Promise<Outcome> {
  const { env, registry, memory, show, forget } = deps;
  const nowMs = env.clock.nowMs();
  const { renewedAtMs, stampMs } = storedTimes(deps, stored);
  const expiresAtMs = renewedAtMs + stored.ltS * 1000;
  const untilMs = dormantUntilMs(expiresAtMs, stored.ltS);
  const known = registry.byEndpoint(stored, nowMs);
  // Two of one name are what a crash between two writes leaves behind: the younger one counts.
  if (nowMs >= untilMs || (known !== undefined && known.stored.renewedAtWallMs >= stored.renewedAtWallMs))
    return "over";
  const kept = keptWeight(stored);
  // What is kept in text weighs no less in the directory.
  if (memory.room < kept + stored.links.length) return "no-memory";
  if (!parseLinkFormat(stored.links).ok) throw new Error("its links are not link format");
  if (known !== undefined) await forget(known.stored);
  const registrant = registrantOfBase(stored.base);
  if (nowMs >= expiresAtMs) {
    registry.putDormant(stored, { untilMs, registrant, isReported: true });
    return "taken";
  }
  // Counted first, so that the directory does not take what is needed for the rest.
  memory.take(registrant, kept);
  try {
    const shown = show(stored, renewedAtMs, stampMs);
    memory.give(registrant, kept);
    registry.putLive(stored, 0, { registrant, shown });
    return "taken";
  } catch (error) {
    memory.give(registrant, kept);
    if (error instanceof MergeError && (error.code === "MEMORY_FULL" || error.code === "DIRECTORY_FULL"))
      return "no-memory";
    throw error;
  }
}

/** When a kept registration was renewed, by the monotonic clock, and its stamp where that does not follow. */
export function storedTimes(
  { env, federation }: Pick<RestoreDeps, "env" | "federation">,
  stored: StoredRegistration,
): { readonly renewedAtMs: number; readonly stampMs: number | undefined } {
  const nowMs = env.clock.nowMs();
  // A wall clock that was set back must not make a registration younger than new.
  const renewedAtMs = nowMs - Math.max(0, env.clock.wallMs() - stored.renewedAtWallMs);
  return { renewedAtMs, stampMs: publishedStamp(stored, federation.stampOf(renewedAtMs), federation.stampOf(nowMs)) };
}

/** The published stamp, unless the wall clock was set since, so that it means another moment now. */
function publishedStamp({ stampMs }: StoredRegistration, expectedMs: number, nowMs: number): number | undefined {
  if (stampMs === undefined || stampMs > nowMs) return undefined;
  return Math.abs(stampMs - expectedMs) <= FEDERATION_TOLERANCE_MS ? stampMs : undefined;
}
