import { randomBytes } from "node:crypto";
import type { ProtectChannel, ServerProtection } from "@tributary/coap-transport";
import type { Logger } from "@tributary/runtime";

/** The security contexts of a node (RFC 8613), open. */
export interface SecurityContexts {
  /** Opens requests to this node. */
  readonly protection: ServerProtection;
  /** How requests under the context with this name are protected; null: there is none. */
  protect(name: string): ProtectChannel | null;
  /** Reads the folder again; contexts that are as before continue. @throws {OscoreError} `BAD_CONTEXT`; then nothing changes. */
  reload(): void;
  /** Saves what was sent and received. Idempotent. */
  close(): void;
}

/**
 * Opens a folder of security contexts. The module is loaded only when it is needed.
 * @throws {OscoreError} `BAD_CONTEXT`, `IN_USE`
 */
export async function openSecurityContexts(logger: Logger, path: string): Promise<SecurityContexts> {
  const { openContextFolder, protectRequests, protectServer } = await import("@tributary/oscore");
  const folder = openContextFolder({ logger, randomBytes: (length) => randomBytes(length) }, path);
  return {
    protection: protectServer((kid, kidContext) => folder.find(kid, kidContext)),
    protect(name) {
      const named = folder.named(name);
      return named === undefined ? null : protectRequests(named.context);
    },
    reload() {
      const { added, removed, changed } = folder.reload();
      if (added.length + removed.length + changed.length > 0)
        logger.info("OSCORE contexts reloaded", { added, removed, changed });
    },
    close: () => folder.close(),
  };
}
