import type { Directory } from "@tributary/merge-engine";
import type { Environment } from "@tributary/runtime";
import { PARTIAL_MAX_AGE_S } from "./constants.js";
import type { LookupSource } from "./types.js";

/**
 * An RD answers lookups from its own directory, at once and lazily. `missing` names what the directory does not have at present
 * although it should; the answer is partial then.
 */
export function directoryLookupSource(
  directory: Directory,
  env: Environment,
  missing: () => readonly string[] = () => [],
): LookupSource {
  return ({ kind, query, request }) => {
    const { zone } = request.peer;
    const options = zone === undefined ? {} : { zone };
    const nowMs = env.clock.nowMs();
    const links = directory.lookup(kind, query, nowMs, options);
    const steps = () => directory.lookupInSteps(kind, query, nowMs, options);
    const text = () => directory.lookupText(kind, query, nowMs, options);
    const names = missing();
    if (names.length > 0) return { links, steps, text, origin: "partial", missing: names, maxAgeS: PARTIAL_MAX_AGE_S };
    return { links, steps, text, origin: "local", isCacheable: true };
  };
}
