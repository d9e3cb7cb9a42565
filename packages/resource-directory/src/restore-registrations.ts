import type { Environment } from "@tributary/coap-transport";
import { parseLinkFormat } from "@tributary/link-model";
import { FEDERATION_TOLERANCE_MS, type FederationClock } from "@tributary/merge-engine";
import { dormantUntilMs } from "./dormant-collection.js";
import type { Registry } from "./registry.js";
import type { RegistrationStore, StoredRegistration } from "./types.js";

export interface RestoreDeps {
  readonly store: RegistrationStore;
  readonly env: Environment;
  /** Tells which wall-clock time a moment has. */
  readonly federation: FederationClock;
  readonly registry: Registry;
  /** Show a registration, renewed at a moment of the monotonic clock. */
  readonly show: (stored: StoredRegistration, renewedAtMs: number, stampMs?: number) => void;
  /** Remove a registration everywhere. */
  readonly forget: (id: string) => unknown;
}

/** Take over what the store kept. A registration that cannot be shown is reported and left out; the others are served. */
export async function restoreRegistrations(deps: RestoreDeps): Promise<void> {
  for await (const stored of deps.store.load()) {
    try {
      if (!(await restore(deps, stored))) await deps.forget(stored.id);
    } catch (error) {
      deps.env.logger.warn("a stored registration was left out", { error, id: stored.id, ep: stored.ep });
    }
  }
}

/** False when the store need not keep it any longer. */
async function restore(
  { env, federation, registry, show, forget }: RestoreDeps,
  stored: StoredRegistration,
): Promise<boolean> {
  if (!parseLinkFormat(stored.links).ok) throw new Error("its links are not link format");
  const nowMs = env.clock.nowMs();
  // A wall clock that was set back must not make a registration younger than new.
  const ageMs = Math.max(0, env.clock.wallMs() - stored.renewedAtWallMs);
  const renewedAtMs = nowMs - ageMs;
  const expiresAtMs = renewedAtMs + stored.ltS * 1000;
  const untilMs = dormantUntilMs(expiresAtMs, stored.ltS);
  const known = registry.byEndpoint(stored, nowMs);
  // Two of one name are what a crash between two writes leaves behind: the younger one counts.
  if (nowMs >= untilMs || (known !== undefined && known.stored.renewedAtWallMs >= stored.renewedAtWallMs)) return false;
  if (known !== undefined) await forget(known.stored.id);
  if (nowMs >= expiresAtMs) {
    registry.putDormant(stored, untilMs);
    return true;
  }
  show(stored, renewedAtMs, toldStamp(stored, federation.stampOf(renewedAtMs), federation.stampOf(nowMs)));
  registry.putLive(stored, 0);
  return true;
}

/** The stamp that was told, unless the wall clock was set since, so that it means another moment now. */
function toldStamp({ stampMs }: StoredRegistration, expectedMs: number, nowMs: number): number | undefined {
  if (stampMs === undefined || stampMs > nowMs) return undefined;
  return Math.abs(stampMs - expectedMs) <= FEDERATION_TOLERANCE_MS ? stampMs : undefined;
}
