import type { ClientRequest, CoapClient } from "@tributary/coap-transport";
import { createDirectory } from "@tributary/merge-engine";
import { parseCoapOrigin, systemEnvironment } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { createUpstream, type Upstream, type UpstreamStatus } from "@tributary/upstream-sync";
import { type CommandIo, EXIT_FAILURE, UsageError } from "../command-io.js";
import { openProtectedClient } from "../protection/protected-access.js";
import type { ProtectionFlags } from "../protection/protection-options.js";
import { formatTable } from "../table.js";

/** Arguments of `tributary probe`. */
export interface ProbeOptions {
  readonly uri: string;
  readonly json: boolean;
  /** Longest time for the whole probe, seconds. */
  readonly timeout: number;
  readonly protection?: ProtectionFlags;
}

/** What a proxy would get from an RD. */
export interface ProbeReport {
  readonly uri: string;
  readonly phase: UpstreamStatus["phase"];
  readonly method: UpstreamStatus["method"];
  readonly capabilities: UpstreamStatus["capabilities"];
  readonly registrations: number;
  readonly isComplete: boolean;
  /** Registrations and links that a proxy would leave out, by cause. */
  readonly leftOut: Readonly<Record<string, number>>;
  /** Requests that this took, observations included. */
  readonly requests: number;
  readonly seconds: number;
  readonly error?: string;
}

/** Timeout of one request, ms. */
const REQUEST_TIMEOUT_MS = 5000;
const ASSUMED_LIFETIME_MS = 90_000_000;
const POLL_MS = 30_000;
const NODE_ID = "0000000000000000";

/** `tributary probe`: follows an RD until a copy is complete, and says how. Returns the exit status. */
export async function probe({ uri, json, timeout, protection = {} }: ProbeOptions, io: CommandIo): Promise<number> {
  const parsed = parseCoapOrigin(uri);
  if (!parsed.ok) throw new UsageError(parsed.message);
  const env = systemEnvironment(io.packets ?? silentLogger);
  const client = await openProtectedClient(protection, [parsed.origin.uri], io.packets);
  const counting = new CountingClient(client);
  const directory = createDirectory();
  const upstream = createUpstream(
    { client: counting, directory, env, nodeId: NODE_ID },
    {
      name: "rd",
      uri: parsed.origin.uri,
      mode: "replicate",
      filters: [],
      timeoutMs: REQUEST_TIMEOUT_MS,
      assumedLifetimeMs: ASSUMED_LIFETIME_MS,
      pollMs: POLL_MS,
      concurrency: 4,
    },
  );
  const startMs = env.clock.nowMs();
  try {
    await untilSettled(upstream, AbortSignal.any([io.interrupt, AbortSignal.timeout(timeout * 1000)]));
    const report = reportOf(parsed.origin.uri, upstream.status(), {
      requests: counting.requests,
      seconds: Math.round(env.clock.nowMs() - startMs) / 1000,
    });
    if (json) io.out(JSON.stringify(report, null, 2));
    else for (const line of linesOf(report)) io.out(line);
    return report.phase === "live" && report.isComplete ? 0 : EXIT_FAILURE;
  } finally {
    await upstream.close();
    await client.close();
  }
}

/** Counts what an RD is asked. */
class CountingClient implements CoapClient {
  requests = 0;
  readonly #client: CoapClient;

  constructor(client: CoapClient) {
    this.#client = client;
  }

  request(...[request, control]: Parameters<CoapClient["request"]>): ReturnType<CoapClient["request"]> {
    this.requests++;
    return this.#client.request(request, control);
  }

  observe(...[request, listener, control]: Parameters<CoapClient["observe"]>): ReturnType<CoapClient["observe"]> {
    this.requests++;
    return this.#client.observe(request as ClientRequest, listener, control);
  }

  ping(...[uri, control]: Parameters<CoapClient["ping"]>): ReturnType<CoapClient["ping"]> {
    return this.#client.ping(uri, control);
  }

  /** The client belongs to the command. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Resolves when a copy is complete, or it is clear that there will be none, or the time is over. */
function untilSettled(upstream: Upstream, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const isSettled = ({ phase, isComplete }: UpstreamStatus): boolean =>
      (phase === "live" && isComplete) || phase === "refused" || phase === "missing";
    const stop = upstream.onStatus((status) => {
      if (isSettled(status)) finish();
    });
    const finish = (): void => {
      stop();
      resolve();
    };
    signal.addEventListener("abort", finish, { once: true });
    if (signal.aborted) finish();
    else upstream.start();
  });
}

function reportOf(
  uri: string,
  { phase, method, capabilities, registrations, isComplete, leftOut, lastError }: UpstreamStatus,
  cost: Pick<ProbeReport, "requests" | "seconds">,
): ProbeReport {
  return {
    uri,
    phase,
    method,
    capabilities,
    registrations,
    isComplete,
    leftOut: Object.fromEntries(leftOut),
    ...cost,
    ...(lastError === undefined ? {} : { error: lastError }),
  };
}

/** Names of the capabilities in `CapabilityReport`, and what a proxy uses them for. */
const CAPABILITIES = [
  ["feed", "changes alone are transferred"],
  ["observe", "changes are noticed at once"],
  ["hrefFilter", "the links of one registration can be asked for"],
  ["provenance", "links say which registration they belong to"],
  ["lifetimeAge", "ends of lifetimes are known"],
  ["paging", "long lookups can be asked for in pages"],
  ["etag", "what has not changed is not transferred again"],
] as const;

function linesOf(report: ProbeReport): string[] {
  const { uri, phase, method, capabilities, registrations, isComplete, leftOut, requests, seconds, error } = report;
  const { endpointLookup = "-", resourceLookup = "-", registration = "-", attribution = "-", remarks } = capabilities;
  const causes = Object.entries(leftOut).map(([cause, count]) => `${count} ${cause}`);
  return [
    `${uri} is ${phase}${error === undefined ? "" : `: ${error}`}`,
    "",
    ...formatTable(
      ["", ""],
      [
        ["endpoint lookup", endpointLookup],
        ["resource lookup", resourceLookup],
        ["registration", registration],
        ["followed by", method],
        ["links are attributed by", attribution],
        ["registrations", `${registrations}${isComplete ? "" : " so far"}`],
        ["left out", causes.length === 0 ? "nothing" : causes.join(", ")],
        ["cost", `${requests} requests in ${seconds} s`],
      ],
    ).slice(1),
    "",
    ...formatTable(
      ["CAPABILITY", "", "USE"],
      CAPABILITIES.map(([name, use]) => [name, capabilities[name], use]),
    ),
    ...(remarks.length === 0 ? [] : ["", ...remarks.map((remark) => `remark: ${remark}`)]),
  ];
}
