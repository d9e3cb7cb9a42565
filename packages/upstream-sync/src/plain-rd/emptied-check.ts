import { CODE } from "@tributary/coap-transport";
import { isPathAbsolute, originOf } from "@tributary/link-model";
import { ATTRIBUTION_SAMPLES, HEARTBEAT_TIMEOUT_MS } from "../constants.js";
import { get } from "../discovery/discovery.js";
import type { FollowerDeps } from "../follower.js";

/** Where an RD is asked. */
export interface LookupUris {
  readonly endpointLookup: string;
  readonly resourceLookup: string;
}

/**
 * Whether an RD whose endpoint lookup has just answered 4.04 is empty by now. Notes what speaks for that and against it. Without
 * registrations that are held of it, and have a path at the RD, nothing can be said.
 * @throws {UpstreamError} when it does not respond.
 */
export async function looksEmptied(deps: FollowerDeps, uris: LookupUris, signal: AbortSignal): Promise<boolean> {
  const evidence = deps.notFound.emptiness;
  if (evidence.isConclusive) return true;
  const hrefs = someHeld(deps);
  if (hrefs.length === 0) return false;
  const origin = originOf(uris.endpointLookup) ?? "";
  for (const uri of [uris.resourceLookup, ...hrefs.map((href) => `${origin}${href}`)]) {
    const { code } = await get(deps.client, uri, [], HEARTBEAT_TIMEOUT_MS, signal);
    if (code === CODE.NOT_FOUND) continue;
    evidence.noteOther();
    return false;
  }
  evidence.noteGone(deps.env.clock.nowMs());
  return evidence.isConclusive;
}

/** Finds out whether registrations that are there respond to GET with something else than 4.04. Never rejects. */
export async function learnWhetherRegistrationsRespond(
  deps: FollowerDeps,
  { endpointLookup }: LookupUris,
  signal: AbortSignal,
): Promise<void> {
  const [href] = someHeld(deps);
  if (href === undefined) return;
  const uri = `${originOf(endpointLookup) ?? ""}${href}`;
  const response = await get(deps.client, uri, [], HEARTBEAT_TIMEOUT_MS, signal).catch(() => null);
  if (response !== null && response.code !== CODE.NOT_FOUND) deps.notFound.emptiness.noteRegistrationThere();
}

/** A few registrations that are held of the RD, as their path there. */
function someHeld({ directory, options }: FollowerDeps): string[] {
  const found: string[] = [];
  if (!directory.sources().includes(options.name)) return found;
  for (const href of directory.hrefs(options.name)) {
    // One that is listed by its base has no resource at the RD, and no other will have.
    if (!isPathAbsolute(href)) break;
    found.push(href);
    if (found.length === ATTRIBUTION_SAMPLES) break;
  }
  return found;
}
