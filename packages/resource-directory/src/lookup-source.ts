import type { Environment } from "@tributary/coap-transport";
import type { Directory } from "@tributary/merge-engine";
import type { LookupSource } from "./types.js";

/** An RD answers lookups from its own directory, at once and lazily. */
export function directoryLookupSource(directory: Directory, env: Environment): LookupSource {
  return ({ kind, query, request }) => {
    const { zone } = request.peer;
    const options = zone === undefined ? {} : { zone };
    const nowMs = env.clock.nowMs();
    const links = directory.lookup(kind, query, nowMs, options);
    const steps = () => directory.lookupInSteps(kind, query, nowMs, options);
    return { links, steps, origin: "local", isLasting: true };
  };
}
