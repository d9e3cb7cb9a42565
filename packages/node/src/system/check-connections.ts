import { CODE, METHOD, openCoapClient } from "@tributary/coap-transport";
import { parseLinkFormatTolerantly, resourceTypesOf } from "@tributary/link-model";
import { silentLogger } from "@tributary/runtime";
import type { NodeConfig } from "../configuration/types.js";
import { NO_CREDENTIALS, type NodeCredentials, readCredentials } from "../credentials/read-credentials.js";
import { openSecurityContexts, type SecurityContexts } from "../oscore/security-contexts.js";
import { systemEnvironment } from "./environment.js";

/** One thing that a configuration refers to, as it was found. */
export interface ConnectionFinding {
  readonly subject: string;
  /** `unknown`: it could not be looked at. */
  readonly state: "right" | "wrong" | "unknown";
  readonly detail: string;
}

/** What a configuration alone cannot tell and a node needs; empty: nothing. */
export function unverified({ registration }: Pick<NodeConfig, "registration">): string[] {
  return registration?.store.kind === "nats"
    ? ["version, cluster and flushing of the servers of registration.store", "settings of its stream"]
    : [];
}

/** Asks the servers of a shared store, and every upstream, and changes nothing there. Never rejects. */
export async function checkConnections(config: NodeConfig): Promise<ConnectionFinding[]> {
  const { registration, lookup, oscore } = config;
  const read = readCredentials(config);
  const credentials = read.ok ? read.credentials : NO_CREDENTIALS;
  const contexts = await openContexts(oscore?.contexts);
  try {
    const [store, upstreams] = await Promise.all([
      checkStore(registration?.store),
      checkUpstreams(lookup?.upstreams ?? [], credentials, contexts),
    ]);
    return [...store, ...upstreams];
  } finally {
    if (typeof contexts === "object") contexts.close();
  }
}

/** The security contexts in a folder, or why they cannot be used; a running node keeps them to itself. */
async function openContexts(path: string | undefined): Promise<SecurityContexts | string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await openSecurityContexts(silentLogger, path);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function checkStore(
  store: NonNullable<NodeConfig["registration"]>["store"] | undefined,
): Promise<ConnectionFinding[]> {
  if (store?.kind !== "nats") return [];
  const { inspectServers } = await import("@tributary/nats-store");
  return await inspectServers(store);
}

async function checkUpstreams(
  upstreams: NonNullable<NodeConfig["lookup"]>["upstreams"],
  { clientFor }: NodeCredentials,
  contexts: SecurityContexts | string | undefined,
): Promise<ConnectionFinding[]> {
  if (upstreams.length === 0) return [];
  const protect = (_uri: unknown, name?: string) =>
    typeof contexts === "object" && name !== undefined ? contexts.protect(name) : null;
  const client = await openCoapClient({ env: systemEnvironment(silentLogger) }, { tls: clientFor, protect });
  try {
    const asked = upstreams.flatMap(({ uris, name, timeoutMs, oscore }) =>
      uris.map((uri) => ({ uri, name, timeoutMs, oscore })),
    );
    return await Promise.all(
      asked.map(async ({ name, uri, timeoutMs, oscore: context }): Promise<ConnectionFinding> => {
        const subject = `upstream ${name} at ${uri}`;
        if (context !== undefined && typeof contexts === "string")
          return { subject, state: "unknown", detail: contexts };
        const target = { method: METHOD.GET, uri: `${uri}/.well-known/core`, query: ["rt=core.rd*"] };
        const request = context === undefined ? target : { ...target, context };
        try {
          const { code, payload } = await client.request(request, { timeoutMs });
          const types = parseLinkFormatTolerantly(payload).links.flatMap(resourceTypesOf);
          const hasLookup = code === CODE.CONTENT && types.some((type) => type.startsWith("core.rd-lookup"));
          return hasLookup
            ? { subject, state: "right", detail: "it answers, and advertises lookups" }
            : { subject, state: "wrong", detail: "it answers, and advertises no lookup" };
        } catch (error) {
          return { subject, state: "wrong", detail: error instanceof Error ? error.message : String(error) };
        }
      }),
    );
  } finally {
    await client.close();
  }
}
