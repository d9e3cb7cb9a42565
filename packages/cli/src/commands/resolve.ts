import { networkInterfaces } from "node:os";
import { openCoapClient } from "@tributary/coap-transport";
import { alternativesOf, type HostAbilities, type OscoreUri, parseOscoreUri } from "@tributary/global-lookup/endpoint";
import { parseCoapOrigin, systemEnvironment } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { type CommandIo, EXIT_FAILURE, UsageError } from "../command-io.js";
import { LookupFailure } from "../lookup-failure.js";
import { type Asker, askLookup } from "../lookup-request.js";

/** Arguments of `tributary resolve`. */
export interface ResolveCommandOptions {
  /** `oscore://NAME/PATH`. */
  readonly uri: string;
  /** The RD that is asked. */
  readonly at: string;
  readonly json: boolean;
  /** Seconds. */
  readonly timeout: number;
}

/** Schemes of the OSCORE requests that may follow: datagrams cost constrained devices least. */
const SCHEMES = ["coap", "coap+tcp", "coaps+tcp"];

/** `tributary resolve`: turns an `oscore` URI into URIs of concrete transports (draft 6.3). Returns the exit status. */
export async function resolve(options: ResolveCommandOptions, io: CommandIo): Promise<number> {
  const read = parseOscoreUri(options.uri);
  if (!read.ok) throw new UsageError(`${options.uri}: ${read.message}; write oscore://NAME/PATH`);
  const at = parseCoapOrigin(options.at);
  if (!at.ok) throw new UsageError(`--at ${at.message}`);
  const client = await openCoapClient({ env: systemEnvironment(io.packets ?? silentLogger) });
  const asker: Asker = { client, io, timeoutMs: options.timeout * 1000, server: at.origin.uri };
  try {
    return await runResolve(read.value, options, { asker, abilities: { schemes: SCHEMES, families: ownFamilies() } });
  } catch (error) {
    if (!io.interrupt.aborted) io.err(`tributary: ${LookupFailure.explain(error, asker.server)}`);
    return EXIT_FAILURE;
  } finally {
    await client.close();
  }
}

async function runResolve(
  uri: OscoreUri,
  { json }: ResolveCommandOptions,
  { asker, abilities }: { readonly asker: Asker; readonly abilities: HostAbilities },
): Promise<number> {
  const { io, server } = asker;
  const links = await askLookup(asker, "ep", [`ep=${uri.name}`]);
  const { uris, unusable, registrations } = alternativesOf(uri, links, abilities);
  if (json) io.out(JSON.stringify({ uris, unusable, registrations }, null, 2));
  else {
    for (const one of uris) io.out(one);
    // What an endpoint registered is shown as text of somebody else.
    for (const { uri: one, reason } of unusable) io.err(`tributary: ${JSON.stringify(one)} is left out: ${reason}`);
  }
  if (uris.length > 0) return 0;
  const nobody = `nobody is registered as ${JSON.stringify(uri.name)} at ${server}, or in its pool`;
  io.err(`tributary: ${registrations === 0 ? nobody : "none of its addresses can be used from here"}`);
  return EXIT_FAILURE;
}

/** The address families that reach further than this host and its links. */
function ownFamilies(): HostAbilities["families"] {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const reaches = addresses.filter(({ internal, address }) => !internal && !/^fe[89ab]/i.test(address));
  return {
    ipv4: reaches.some(({ family }) => family === "IPv4"),
    ipv6: reaches.some(({ family }) => family === "IPv6"),
  };
}
