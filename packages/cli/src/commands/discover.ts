import { CODE, openCoapClient } from "@tributary/coap-transport";
import { parseLinkFormatTolerantly, resourceTypesOf } from "@tributary/link-model";
import { systemEnvironment } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { type CommandIo, EXIT_FAILURE } from "../command-io.js";
import { LookupFailure } from "../lookup-failure.js";
import { ask } from "../lookup-request.js";
import { searchByMulticast } from "../register/directory-search.js";
import { createEndpointClient } from "../register/endpoint-client.js";
import { formatTable } from "../table.js";

/** Arguments of `tributary discover`. */
export interface DiscoverOptions {
  readonly json: boolean;
  /** Time to wait for the discovery document of each server, seconds. */
  readonly timeout: number;
}

/** What a server advertises. */
interface FoundServer {
  readonly uri: string;
  /** Resource types of RFC 9176 section 9.3, without the prefix `core.rd`. */
  readonly roles: readonly string[];
  readonly error?: string;
}

const ROLES: ReadonlyMap<string, string> = new Map([
  ["core.rd", "registration"],
  ["core.rd-lookup-ep", "endpoint lookup"],
  ["core.rd-lookup-res", "resource lookup"],
]);

/** `tributary discover`: finds RDs and lookup proxies on the links of this host (RFC 9176 section 4.1). Returns the exit status. */
export async function discover({ json, timeout }: DiscoverOptions, io: CommandIo): Promise<number> {
  const env = systemEnvironment(io.packets ?? silentLogger);
  const group = createEndpointClient(io.packets);
  const client = await openCoapClient({ env });
  try {
    const search = (type: string) =>
      searchByMulticast({ client: group, clock: env.clock }, type, { signal: io.interrupt });
    const origins = new Set((await Promise.all(["core.rd", "core.rd-lookup-ep"].map(search))).flat());
    const asker = (server: string) => ({ client, io, timeoutMs: timeout * 1000, server });
    const found = await Promise.all([...origins].map((uri) => describe(uri, asker(uri))));
    if (json) io.out(JSON.stringify(found, null, 2));
    else if (found.length === 0)
      io.err("tributary: no RD or lookup proxy answers to multicast on the links of this host");
    else
      for (const line of formatTable(
        ["SERVER", "ADVERTISES"],
        found.map(({ uri, roles, error }) => [uri, error ?? roles.join(", ")]),
      ))
        io.out(line);
    return found.length === 0 ? EXIT_FAILURE : 0;
  } finally {
    group.close();
    await client.close();
  }
}

async function describe(uri: string, asker: Parameters<typeof ask>[0]): Promise<FoundServer> {
  try {
    const { code, payload } = await ask(asker, `${uri}/.well-known/core`, ["rt=core.rd*"]);
    if (code !== CODE.CONTENT) return { uri, roles: [], error: "it has no discovery document" };
    const types = new Set(parseLinkFormatTolerantly(payload).links.flatMap(resourceTypesOf));
    return { uri, roles: [...ROLES].flatMap(([type, role]) => (types.has(type) ? [role] : [])) };
  } catch (error) {
    return { uri, roles: [], error: LookupFailure.explain(error, uri) };
  }
}
