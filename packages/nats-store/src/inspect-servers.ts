import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  type StreamConfig,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { OLDEST_SERVER, REQUEST_TIMEOUT_MS } from "./constants.js";
import { probeConfig, streamConfig } from "./nats-stream.js";
import { connectTo, differences, isRecent, type NatsStoreOptions } from "./open-nats-store.js";

/** One thing that was looked at. */
export interface ServerFinding {
  readonly subject: string;
  /** `unknown`: it could not be looked at. */
  readonly state: "right" | "wrong" | "unknown";
  readonly detail: string;
}

/** Settings of `inspectServers`. */
export interface InspectionOptions extends NatsStoreOptions {
  /** URLs of the monitoring ports of the servers, which alone say whether writes are flushed. */
  readonly monitoring?: readonly string[];
}

const MONITOR_TIMEOUT_MS = 3000;

/** Looks at each server, at the streams and at the monitoring ports, and changes nothing. Never rejects. */
export async function inspectServers(
  options: InspectionOptions,
  fetch: typeof globalThis.fetch = globalThis.fetch,
): Promise<ServerFinding[]> {
  const servers = await Promise.all(options.servers.map((server) => inspectServer(server, options)));
  const streams = await inspectStreams(options);
  const monitoring = await Promise.all((options.monitoring ?? []).map((uri) => inspectMonitoring(uri, fetch)));
  return [...servers.flat(), ...streams, ...(monitoring.length === 0 ? [UNSEEN_FLUSHING] : monitoring)];
}

const UNSEEN_FLUSHING: ServerFinding = {
  subject: "sync_interval",
  state: "unknown",
  detail: "only a monitoring port says whether it is always; write monitoring: [http://…:8222]",
};

async function inspectServer(server: string, options: InspectionOptions): Promise<ServerFinding[]> {
  const found = (state: ServerFinding["state"], detail: string): ServerFinding => ({ subject: server, state, detail });
  let connection: NatsConnection;
  try {
    connection = await connectTo({ ...options, servers: [server] }, "check", { isPatient: false });
  } catch (error) {
    return [found("wrong", reasonOf(error))];
  }
  try {
    const { version = "", jetstream, cluster } = connection.info ?? {};
    const findings = [
      isRecent(version)
        ? found("right", `nats-server ${version}`)
        : found("wrong", `nats-server ${version}; it has to be ${OLDEST_SERVER.join(".")} or later`),
    ];
    if (jetstream !== true) findings.push(found("wrong", "it runs without JetStream; enable it in its configuration"));
    if (cluster === undefined && options.replicas > 1)
      findings.push(
        found("wrong", `it is in no cluster, and replicas is ${options.replicas}; give it routes to the others`),
      );
    return findings;
  } finally {
    await connection.close();
  }
}

async function inspectStreams(options: InspectionOptions): Promise<ServerFinding[]> {
  let connection: NatsConnection;
  try {
    connection = await connectTo(options, "check", { isPatient: false });
  } catch {
    return [{ subject: `stream ${options.stream}`, state: "unknown", detail: "no server lets this node in" }];
  }
  try {
    const jsm = await jetstreamManager(connection, { timeout: REQUEST_TIMEOUT_MS });
    const { stream, replicas } = options;
    const wanted = [streamConfig(stream, replicas), probeConfig(stream, replicas)];
    return (await Promise.all(wanted.map((one) => inspectStream(jsm, one)))).flat();
  } catch (error) {
    return [{ subject: `stream ${options.stream}`, state: "unknown", detail: reasonOf(error) }];
  } finally {
    await connection.close();
  }
}

async function inspectStream(
  jsm: JetStreamManager,
  wanted: Partial<StreamConfig> & { name: string },
): Promise<ServerFinding[]> {
  const subject = `stream ${wanted.name}`;
  try {
    const { config, state, cluster } = await jsm.streams.info(wanted.name);
    const wrong = differences(config, wanted).map(
      ({ key, has, wants }): ServerFinding => ({
        subject,
        state: "wrong",
        detail: `${key} is ${has}; it has to be ${wants}`,
      }),
    );
    const absent = (cluster?.replicas ?? []).filter(({ current, offline }) => !current || offline === true);
    for (const { name } of absent)
      wrong.push({ subject, state: "wrong", detail: `server ${name} does not have all of it` });
    return wrong.length > 0
      ? wrong
      : [{ subject, state: "right", detail: `as it has to be; messages: ${state.messages}` }];
  } catch (error) {
    const isMissing = error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound;
    return isMissing
      ? [{ subject, state: "right", detail: "not there yet; the first instance makes it" }]
      : [{ subject, state: "unknown", detail: reasonOf(error) }];
  }
}

/** The analysis of what survives a loss of power rests on this setting (docs/shared-authority.md). */
async function inspectMonitoring(uri: string, fetch: typeof globalThis.fetch): Promise<ServerFinding> {
  const found = (state: ServerFinding["state"], detail: string): ServerFinding => ({ subject: uri, state, detail });
  try {
    const response = await fetch(new URL("/jsz", uri), {
      signal: AbortSignal.timeout(MONITOR_TIMEOUT_MS),
      redirect: "error",
    });
    const document = (await response.json()) as { readonly config?: { readonly sync_always?: unknown } };
    if (document.config?.sync_always === true)
      return found("right", "every write is flushed before it is acknowledged");
    return found("wrong", "writes are acknowledged before they are flushed; write jetstream { sync_interval: always }");
  } catch (error) {
    return found("unknown", reasonOf(error));
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
