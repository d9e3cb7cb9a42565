import { CODE, CONTENT_FORMAT, type CoapClient, METHOD, TransportError } from "@tributary/coap-transport";
import { type Link, originOf, serialiseLink } from "@tributary/link-model";
import { linkToJson, parseCoapOrigin, systemEnvironment } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { type CommandIo, EXIT_FAILURE, UsageError } from "../command-io.js";
import { LookupFailure, responseFailure } from "../lookup-failure.js";
import { type Asker, ask, discoverLookup, readLinks } from "../lookup-request.js";
import { watchLookup } from "../lookup-watch.js";
import { openProtectedClient } from "../protection/protected-access.js";
import type { ProtectionFlags } from "../protection/protection-options.js";
import { searchByMulticast } from "../register/directory-search.js";
import { createEndpointClient } from "../register/endpoint-client.js";

/** Arguments of `tributary lookup`. */
export interface LookupCommandOptions {
  readonly kind: "ep" | "res";
  readonly criteria: readonly string[];
  /** The server to ask; absent: this machine, else a server found by multicast. */
  readonly at?: string;
  readonly json: boolean;
  readonly watch: boolean;
  /** Seconds. */
  readonly timeout: number;
  readonly protection?: ProtectionFlags;
}

/** `tributary lookup`: prints the result of a lookup. Returns the exit status. */
export async function lookup(options: LookupCommandOptions, io: CommandIo): Promise<number> {
  const env = systemEnvironment(io.packets ?? silentLogger);
  const client = await openProtectedClient(options.protection ?? {}, [options.at ?? THIS_MACHINE], io.packets);
  const search = async (resourceType: string): Promise<readonly string[]> => {
    const group = createEndpointClient(io.packets);
    try {
      return await searchByMulticast({ client: group, clock: env.clock }, resourceType, { signal: io.interrupt });
    } finally {
      group.close();
    }
  };
  try {
    return await runLookup(options, { client, io, search });
  } finally {
    await client.close();
  }
}

/** Runs the command with an injected network. */
export async function runLookup(
  options: LookupCommandOptions,
  deps: {
    readonly client: CoapClient;
    readonly io: CommandIo;
    /** Finds the origins of servers with a resource of this type by multicast. */
    readonly search: (resourceType: string) => Promise<readonly string[]>;
  },
): Promise<number> {
  const at = parseCoapOrigin(options.at ?? THIS_MACHINE);
  if (!at.ok) throw new UsageError(`--at ${at.message}`);
  const empty = options.criteria.find((item) => item === "" || item.startsWith("="));
  if (empty !== undefined) throw new UsageError(`the criterion "${empty}" has no name; write key=value`);
  const { client, io } = deps;
  const asker: Asker = { client, io, timeoutMs: options.timeout * 1000, server: at.origin.uri };
  let origin = at.origin.uri;
  try {
    const isSearched = options.at === undefined;
    const uri = await discoverLookup(asker, at.origin.uri, options.kind).catch((error: unknown) => {
      if (!isSearched || !isNobodyThere(error)) throw error;
      return findLookup(asker, options.kind, deps.search);
    });
    const request = { method: METHOD.GET, uri, query: options.criteria, accept: CONTENT_FORMAT.LINK_FORMAT };
    origin = asker.server;
    asker.server = originOf(uri) ?? uri;
    if (options.watch) return await watchLookup(asker, { request, json: options.json });
    const response = await ask(asker, uri, options.criteria);
    if (response.code !== CODE.CONTENT) throw responseFailure(uri, response);
    printLinks(readLinks(response, io), options.json, io);
    return 0;
  } catch (error) {
    if (io.interrupt.aborted) return EXIT_FAILURE;
    const sentBy = asker.server === origin ? undefined : origin;
    io.err(`tributary: ${LookupFailure.explain(error, asker.server, sentBy)}`);
    return EXIT_FAILURE;
  }
}

/** The server that is asked without `--at`. */
const THIS_MACHINE = "coap://localhost";

function isNobodyThere(error: unknown): boolean {
  return error instanceof TransportError && (error.code === "UNREACHABLE" || error.code === "TIMEOUT");
}

/** Finds the lookup interface of a server by multicast (RFC 9176 section 4.1). */
async function findLookup(
  asker: Asker,
  kind: "ep" | "res",
  search: (resourceType: string) => Promise<readonly string[]>,
): Promise<string> {
  const [origin] = await search(`core.rd-lookup-${kind}`);
  if (asker.io.interrupt.aborted || origin !== undefined)
    return await discoverLookup(asker, origin ?? THIS_MACHINE, kind);
  throw new LookupFailure(
    `nothing answers at ${THIS_MACHINE}, and no RD or lookup proxy to multicast; --at says where to ask`,
  );
}

function printLinks(links: readonly Link[], json: boolean, io: CommandIo): void {
  if (json) io.out(JSON.stringify(links.map(linkToJson), null, 2));
  else for (const link of links) io.out(serialiseLink(link));
}
