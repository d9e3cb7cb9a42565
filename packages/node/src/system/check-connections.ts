import { CODE, METHOD, openCoapClient } from "@tributary/coap-transport";
import { parseLinkFormatTolerantly, resourceTypesOf } from "@tributary/link-model";
import { silentLogger } from "@tributary/runtime";
import type { NodeConfig } from "../configuration/types.js";
import { NO_CREDENTIALS, type NodeCredentials, readCredentials } from "../credentials/read-credentials.js";
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
  const { registration, lookup } = config;
  const read = readCredentials(config);
  const [store, upstreams] = await Promise.all([
    checkStore(registration?.store),
    checkUpstreams(lookup?.upstreams ?? [], read.ok ? read.credentials : NO_CREDENTIALS),
  ]);
  return [...store, ...upstreams];
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
): Promise<ConnectionFinding[]> {
  if (upstreams.length === 0) return [];
  const client = await openCoapClient({ env: systemEnvironment(silentLogger) }, { tls: clientFor });
  try {
    const asked = upstreams.flatMap(({ name, uris, timeoutMs }) => uris.map((uri) => ({ name, uri, timeoutMs })));
    return await Promise.all(
      asked.map(async ({ name, uri, timeoutMs }): Promise<ConnectionFinding> => {
        const subject = `upstream ${name} at ${uri}`;
        const request = { method: METHOD.GET, uri: `${uri}/.well-known/core`, query: ["rt=core.rd*"] };
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
