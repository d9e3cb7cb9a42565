import type { Environment } from "@tributary/coap-transport";
import type { Directory } from "@tributary/merge-engine";
import type { LookupSource } from "./types.js";

/** An RD answers lookups from its own directory, at once and lazily. */
export function directoryLookupSource(directory: Directory, env: Environment): LookupSource {
  return ({ kind, query, request }) => {
    const { zone } = request.peer;
    const links = directory.lookup(kind, query, env.clock.nowMs(), zone === undefined ? {} : { zone });
    return { links, origin: "local", isLasting: true };
  };
}
