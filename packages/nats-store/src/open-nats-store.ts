import { createHash, createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  type StreamConfig,
  type StreamInfo,
} from "@nats-io/jetstream";
import { type ConnectionOptions, connect, credsAuthenticator, type NatsConnection } from "@nats-io/transport-node";
import type { Environment } from "@tributary/runtime";
import { OLDEST_SERVER, OPEN_TIMEOUT_MS, REQUEST_TIMEOUT_MS, RETRY_PAUSE_MS } from "./constants.js";
import { NatsStoreError } from "./errors.js";
import { SharedRegistrations } from "./nats-store.js";
import { NatsStream, probeConfig, streamConfig } from "./nats-stream.js";

/** Where the servers are, and which stream has the registrations. */
export interface NatsStoreOptions {
  /** URLs `nats://host:port`, or `tls://host:port`. */
  readonly servers: readonly string[];
  /** Name of the stream: letters, digits, `-` and `_`. It is made where it is missing. */
  readonly stream: string;
  /** Servers that keep each message. */
  readonly replicas: number;
  /** File with credentials (JWT and seed). */
  readonly credentials?: string;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** Configuration key, for messages. */
  readonly setting?: string;
}

/** What is done where the stream is missing. */
export type MissingStream =
  /** It is made, with a new secret. */
  | { readonly kind: "make" }
  /** It is made with the secret of an earlier one, so that paths are the same. */
  | { readonly kind: "make"; readonly secret: Uint8Array }
  /** That is an error. */
  | { readonly kind: "refuse" };

/** Collaborators of `openNatsStore`. */
export interface NatsStoreDeps {
  readonly env: Environment;
  /** Names this instance. */
  readonly instance: string;
}

const EPOCHS = 2 ** 24;
const SECRET_BYTES = 32;

/**
 * Opens the store that RD instances share by way of a stream of NATS JetStream. Resolves when the servers are ready and the stream is as it
 * has to be. @throws {NatsStoreError}
 */
export async function openNatsStore(
  deps: NatsStoreDeps,
  options: NatsStoreOptions,
  missing: MissingStream = { kind: "make" },
): Promise<SharedRegistrations> {
  const { env, instance } = deps;
  const connection = await connectTo(options, instance);
  try {
    checkServer(connection, options);
    const jsm = await untilReady(env, () => jetstreamManager(connection, { timeout: REQUEST_TIMEOUT_MS }), options);
    const info = await untilReady(
      env,
      () => ensureStream(jsm, streamConfig(options.stream, options.replicas), options, missing.kind === "make"),
      options,
    );
    await untilReady(env, () => ensureStream(jsm, probeConfig(options.stream, options.replicas), options), options);
    const created = String(info.created);
    const js = jetstream(connection, { timeout: REQUEST_TIMEOUT_MS });
    const secret = await untilReady(
      env,
      () => readSecret({ jsm, js, proposed: proposedSecret(missing) }, options),
      options,
    );
    const parts = { clock: env.clock, connection, js, jsm, name: options.stream, instance: instance };
    const stream = new NatsStream(parts, { created, secret });
    return new SharedRegistrations({ env, stream, epoch: epochOf(options.stream, created) });
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** The epoch of the feed: the same at every instance, another one for another stream. Pure. */
export function epochOf(name: string, created: string): number {
  return createHash("sha256").update(`${created} ${name}`).digest().readUIntBE(0, 3) % EPOCHS;
}

/** How a connection is made. */
export interface ConnectSettings {
  /** Whether lost connections are made again, for as long as it takes. Default true. */
  readonly isPatient?: boolean;
}

/** Connects to one of the servers. @throws {NatsStoreError} */
export async function connectTo(
  options: NatsStoreOptions,
  instance: string,
  { isPatient = true }: ConnectSettings = {},
): Promise<NatsConnection> {
  const { servers, tls, user, passwordFile, setting = "registration.store" } = options;
  try {
    const authenticator =
      options.credentials === undefined ? undefined : credsAuthenticator(await readFile(options.credentials));
    const settings: ConnectionOptions = {
      servers: [...servers],
      name: `tributary ${instance}`,
      maxReconnectAttempts: isPatient ? -1 : 0,
      reconnectTimeWait: 500,
      reconnectJitter: 250,
      timeout: 3000,
      pingInterval: 5000,
      maxPingOut: 2,
      ignoreAuthErrorAbort: true,
      // A stack trace for each request costs more than the request.
      noAsyncTraces: true,
      ...(authenticator === undefined ? {} : { authenticator }),
      ...(user === undefined ? {} : { user }),
      ...(passwordFile === undefined ? {} : { pass: (await readFile(passwordFile, "utf8")).trimEnd() }),
      ...(tls === undefined ? {} : { tls: tlsOptions(tls) }),
    };
    return await connect(settings);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `${setting}: no connection to ${servers.join(", ")}: ${reason}; check that the servers run and let this node in`;
    throw new NatsStoreError("STATE_UNAVAILABLE", message, { cause: error });
  }
}

function tlsOptions({ ca, cert, key }: NonNullable<NatsStoreOptions["tls"]>) {
  return {
    ...(ca === undefined ? {} : { caFile: ca }),
    ...(cert === undefined ? {} : { certFile: cert }),
    ...(key === undefined ? {} : { keyFile: key }),
  };
}

/** @throws {NatsStoreError} */
function checkServer({ info }: NatsConnection, { setting = "registration.store" }: NatsStoreOptions): void {
  const version = info?.version ?? "";
  if (!isRecent(version)) {
    const message = `${setting}: the server is nats-server ${version}; it has to be ${OLDEST_SERVER.join(".")} or later`;
    throw new NatsStoreError("STATE_UNSUITABLE", message);
  }
  if (info?.jetstream !== true)
    throw new NatsStoreError(
      "STATE_UNSUITABLE",
      `${setting}: the server runs without JetStream; enable it in its configuration`,
    );
}

/** Whether a server has everything the store needs, by its version. Pure. */
export function isRecent(version: string): boolean {
  const parts = version.split(/[.-]/).map(Number);
  for (const [index, least] of OLDEST_SERVER.entries()) {
    const part = parts[index] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}

/** Repeats a request to servers that have just been started, or elect a leader. @throws {NatsStoreError} */
async function untilReady<T>({ clock }: Environment, request: () => Promise<T>, options: NatsStoreOptions): Promise<T> {
  const untilMs = clock.nowMs() + OPEN_TIMEOUT_MS;
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (error instanceof NatsStoreError) throw error;
      if (clock.nowMs() >= untilMs) {
        const { setting = "registration.store", stream } = options;
        const reason = error instanceof Error ? error.message : String(error);
        throw new NatsStoreError("STATE_UNAVAILABLE", `${setting}: stream ${stream} is not available: ${reason}`, {
          cause: error,
        });
      }
      await new Promise<void>((resolve) => clock.setTimer(RETRY_PAUSE_MS, resolve));
    }
  }
}

/** Makes a stream where it is missing. One with other settings is an error that names the first difference. */
async function ensureStream(
  jsm: JetStreamManager,
  wanted: Partial<StreamConfig> & { name: string },
  { setting = "registration.store" }: NatsStoreOptions,
  mayMake = true,
): Promise<StreamInfo> {
  const info = await jsm.streams.info(wanted.name).catch((error: unknown) => {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return null;
    throw error;
  });
  if (info === null && !mayMake)
    throw new NatsStoreError("STATE_UNSUITABLE", `${setting}: there is no stream ${wanted.name}`);
  if (info === null) return await jsm.streams.add(wanted);
  const [difference, other] = differences(info.config, wanted);
  if (difference === undefined) return info;
  // Streams that were made before submissions were grouped. An account that may not change it gets the difference in words.
  if (other === undefined && difference.key === "allow_atomic") {
    const changed = await jsm.streams.update(wanted.name, { allow_atomic: true }).catch(() => null);
    if (changed !== null) return changed;
  }
  const { key, has, wants } = difference;
  const message = `${setting}: stream ${wanted.name} has ${key} ${has}; it has to be ${wants}`;
  throw new NatsStoreError("STATE_UNSUITABLE", message);
}

/** A setting of a stream that is not as it has to be, as JSON. */
export interface StreamDifference {
  readonly key: string;
  readonly has: string;
  readonly wants: string;
}

/** Returns what differs in a stream from the settings that it has to have. Pure. */
export function differences(config: StreamConfig, wanted: Partial<StreamConfig>): StreamDifference[] {
  const found = new Map(Object.entries(config).map(([key, value]) => [key, JSON.stringify(value)]));
  return Object.entries(wanted).flatMap(([key, value]) => {
    const wants = JSON.stringify(value);
    return found.get(key) === wants ? [] : [{ key, has: found.get(key) ?? "unset", wants }];
  });
}

interface SecretParts {
  readonly jsm: JetStreamManager;
  readonly js: ReturnType<typeof jetstream>;
  /** Taken where the stream has none yet. */
  readonly proposed: Uint8Array;
}

/** @throws {NatsStoreError} when the given one cannot be a secret. */
function proposedSecret(missing: MissingStream): Uint8Array {
  const given = "secret" in missing ? missing.secret : randomBytes(SECRET_BYTES);
  if (given.length === SECRET_BYTES) return given;
  throw new NatsStoreError("STATE_UNSUITABLE", `a secret has ${SECRET_BYTES} bytes, not ${given.length}`);
}

/**
 * The secret that the first instance put into the stream, as its first message. A stream that begins with another one was emptied,
 * and says nothing about what is registered.
 */
async function readSecret(
  { jsm, js, proposed }: SecretParts,
  { stream, setting = "registration.store" }: NatsStoreOptions,
): Promise<KeyObject> {
  const subject = `${stream}.meta.secret`;
  try {
    await js.publish(subject, proposed, { expect: { lastSequence: 0 } });
  } catch (error) {
    if (!(error instanceof JetStreamApiError)) throw error;
  }
  const { state } = await jsm.streams.info(stream);
  // Another instance writes it at this moment: servers refuse a second one before they have applied the first.
  if (state.last_seq === 0) throw new Error(`${subject} is not there yet`);
  const stored = state.first_seq === 1 ? await jsm.streams.getMessage(stream, { seq: 1 }) : null;
  if (stored?.subject === subject && stored.data.length === SECRET_BYTES) return createSecretKey(stored.data);
  const message = `${setting}: stream ${stream} was emptied, or belongs to something else: its first message is not ${subject}; restore it, or delete it to begin with an empty directory`;
  throw new NatsStoreError("STATE_UNSUITABLE", message);
}
