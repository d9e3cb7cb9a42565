import type { Environment } from "@tributary/runtime";
import type { NodeDeps } from "../composition/types.js";
import { systemHostAddresses } from "../configuration/own-listeners.js";
import type { GlobalConfig } from "../configuration/types.js";

/** Returns how the configured pool is joined; undefined where there is none. The module is loaded only when it is needed. */
export function systemGlobal(env: Environment, config: GlobalConfig | undefined): NodeDeps["openGlobal"] {
  if (config === undefined) return undefined;
  return async ({ client }) => {
    const { openGlobalLookup } = await import("@tributary/global-lookup");
    return await openGlobalLookup({ env, client, hostAddresses: systemHostAddresses }, config);
  };
}
