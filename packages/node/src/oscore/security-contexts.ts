import { randomBytes } from "node:crypto";
import type { ProtectChannel, ServerProtection } from "@tributary/coap-transport";
import { addCount, type Logger } from "@tributary/runtime";

/** The security contexts of a node (RFC 8613), open. */
export interface SecurityContexts {
  /** Opens requests to this node. */
  readonly protection: ServerProtection;
  /** How requests under the context with this name are protected; null: there is none. */
  protect(name: string): ProtectChannel | null;
  /** How often the context with this name has got other keys since the start. */
  version(name: string): number;
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
  const versions = new Map<string, number>();
  return {
    protection: protectServer((kid, kidContext) => folder.find(kid, kidContext)),
    protect(name) {
      const named = folder.named(name);
      return named === undefined ? null : protectRequests(named.context);
    },
    version: (name) => versions.get(name) ?? 0,
    reload() {
      const { added, removed, changed } = folder.reload();
      for (const name of [...removed, ...changed]) addCount(versions, name);
      if (added.length + removed.length + changed.length > 0)
        logger.info("OSCORE contexts reloaded", { added, removed, changed });
    },
    close: () => folder.close(),
  };
}
