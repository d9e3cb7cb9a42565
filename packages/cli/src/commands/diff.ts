import type { CoapClient } from "@tributary/coap-transport";
import { type Attribute, type Link, parseLinkFormatTolerantly, serialiseLink } from "@tributary/link-model";
import { parseCoapOrigin } from "@tributary/node";
import { type CommandIo, EXIT_FAILURE, UsageError } from "../command-io.js";
import { LookupFailure } from "../lookup-failure.js";
import { askLookup } from "../lookup-request.js";
import { countLines, diffLines } from "../multiset-diff.js";
import { openProtectedClient } from "../protection/protected-access.js";
import type { ProtectionFlags } from "../protection/protection-options.js";

/** Arguments of `tributary diff`. */
export interface DiffOptions {
  /** CoAP or HTTP URIs of two RDs or proxies. */
  readonly servers: readonly [string, string];
  /** As in a lookup: only what meets them is compared. */
  readonly criteria: readonly string[];
  readonly json: boolean;
  /** Seconds. */
  readonly timeout: number;
  readonly protection?: ProtectionFlags;
}

/** Exit status where the servers differ, as that of diff(1). */
const EXIT_DIFFERENT = 1;
const EXIT_TROUBLE = 3;

interface DiffDeps {
  readonly io: CommandIo;
  readonly client: CoapClient;
  readonly fetch: typeof globalThis.fetch;
}

/** `tributary diff`: compares what two servers show. Returns 0: the same, 1: something differs, 3: one of them gives no answer. */
export async function diff(options: DiffOptions, io: CommandIo): Promise<number> {
  const client = await openProtectedClient(
    options.protection ?? {},
    options.servers.filter((uri) => uri.startsWith("coap")),
    io.packets,
  );
  try {
    return await runDiff(options, { io, client, fetch: globalThis.fetch });
  } finally {
    await client.close();
  }
}

/** Runs the command with an injected network. */
export async function runDiff(options: DiffOptions, deps: DiffDeps): Promise<number> {
  const { servers, json } = options;
  const { io } = deps;
  let shown: readonly (readonly string[])[];
  try {
    shown = await Promise.all(servers.map((server) => readShown(server, options, deps)));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    io.err(`tributary: ${error instanceof Error ? error.message : String(error)}`);
    return io.interrupt.aborted ? EXIT_FAILURE : EXIT_TROUBLE;
  }
  const [one = [], other = []] = shown;
  const { added, removed } = diffLines(countLines(one), countLines(other));
  if (json) io.out(JSON.stringify({ only: [removed, added] }, null, 2));
  else {
    for (const line of removed) io.out(`< ${line}`);
    for (const line of added) io.out(`> ${line}`);
    if (added.length + removed.length === 0) io.out(`no difference: ${one.length} links`);
  }
  return added.length + removed.length === 0 ? 0 : EXIT_DIFFERENT;
}

/** What a server shows, a line for each link of its endpoint and resource lookups, in a form that does not depend on how it is reached. */
async function readShown(server: string, options: DiffOptions, deps: DiffDeps): Promise<string[]> {
  const read = /^https?:/.test(server) ? readByHttp : readByCoap;
  const lookups = await Promise.all(
    (["ep", "res"] as const).map(async (kind) => (await read(server, kind, options, deps)).map(comparable)),
  );
  return lookups.flat();
}

async function readByCoap(
  server: string,
  kind: "ep" | "res",
  { criteria, timeout }: DiffOptions,
  { io, client }: DiffDeps,
): Promise<Link[]> {
  const origin = parseCoapOrigin(server);
  if (!origin.ok) throw new UsageError(origin.message);
  const asker = { client, io, timeoutMs: timeout * 1000, server: origin.origin.uri };
  try {
    return await askLookup(asker, kind, criteria);
  } catch (error) {
    throw new LookupFailure(LookupFailure.explain(error, asker.server), { cause: error });
  }
}

async function readByHttp(
  server: string,
  kind: "ep" | "res",
  { criteria, timeout }: DiffOptions,
  { io, fetch }: DiffDeps,
): Promise<Link[]> {
  if (!URL.canParse(server)) throw new UsageError(`${server} is not a URI`);
  const uri = new URL(`/rd-lookup/${kind}`, server);
  uri.search = criteria.map((item) => encodeURIComponent(item).replace("%3D", "=")).join("&");
  try {
    const signal = AbortSignal.any([AbortSignal.timeout(timeout * 1000), io.interrupt]);
    const response = await fetch(uri, { signal, headers: { accept: "application/link-format" }, redirect: "error" });
    if (!response.ok) throw new LookupFailure(`it answers ${response.status}`);
    const missing = response.headers.get("tributary-partial");
    if (missing !== null) io.err(`tributary: ${server} shows only a part: missing ${missing}`);
    return parseLinkFormatTolerantly(new Uint8Array(await response.arrayBuffer())).links;
  } catch (error) {
    throw new LookupFailure(`no lookup at ${uri.origin}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

const AUTHORITY = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i;

/**
 * A link without what depends on the way to its RD: the authority of registration resources, and the order of attributes. Links of
 * endpoints themselves keep theirs.
 */
function comparable({ target, attributes }: Link): string {
  const isEndpoint = attributes.some(([name, value]) => name === "rt" && value === "core.rd-ep");
  const sorted = [...attributes].sort(([one, a], [other, b]) => compare(one, other) || compare(a ?? "", b ?? ""));
  return serialiseLink({
    target: isEndpoint ? target.replace(AUTHORITY, "") : target,
    attributes: sorted as Attribute[],
  });
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one === other ? 0 : 1;
}
