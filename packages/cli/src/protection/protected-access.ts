import { randomBytes } from "node:crypto";
import {
  type ChooseProtection,
  type CoapClient,
  openCoapClient,
  type ProtectChannel,
  parseCoapUri,
  type TlsClientCredentials,
} from "@tributary/coap-transport";
import { parseCoapOrigin, readClientCredentials, systemEnvironment } from "@tributary/node";
import { type Logger, silentLogger } from "@tributary/runtime";
import { UsageError } from "../command-io.js";
import type { ProtectionFlags } from "./protection-options.js";

/** How a command protects its requests, from the files that its options name. */
export interface ProtectedAccess {
  readonly tls: () => TlsClientCredentials;
  /** Absent: without `--oscore`. */
  readonly protect?: ChooseProtection;
  /** Saves the sequence numbers. */
  close(): void;
}

/**
 * Reads the credentials of a command. `servers`: the URIs that are asked as far as they are known.
 * @throws {UsageError}
 */
export async function openAccess(flags: ProtectionFlags, servers: readonly string[]): Promise<ProtectedAccess> {
  const credentials = tlsCredentials(flags, servers);
  const contexts = await openContexts(flags.oscore ?? []);
  return {
    tls: () => credentials,
    ...(contexts.isEmpty ? {} : { protect: contexts.protect }),
    close: contexts.close,
  };
}

/** A client with the protection of the command; closing it saves what has to be saved. */
export async function openProtectedClient(
  flags: ProtectionFlags,
  servers: readonly string[],
  logger: Logger = silentLogger,
): Promise<CoapClient> {
  const { tls, protect, close } = await openAccess(flags, servers);
  const client = await openCoapClient({ env: systemEnvironment(logger) }, { tls, protect });
  const closeClient = client.close.bind(client);
  client.close = () => closeClient().finally(close);
  return client;
}

function tlsCredentials({ ca, cert, certKey, psk }: ProtectionFlags, servers: readonly string[]): TlsClientCredentials {
  const given = Object.entries({ ca, cert, "cert-key": certKey, psk }).filter(([, value]) => value !== undefined);
  const [first] = given;
  if (first === undefined) return {};
  const [unsecured] = servers.every((uri) => !uri.startsWith("coaps+tcp:")) ? servers : [];
  if (unsecured !== undefined)
    throw new UsageError(`--${first[0]} is not used with ${unsecured}; write ${secured(unsecured)}`);
  if ((cert === undefined) !== (certKey === undefined))
    throw new UsageError(cert === undefined ? "--cert-key without --cert" : "--cert without --cert-key");
  if (psk !== undefined && given.length > 1)
    throw new UsageError(`--psk proves both sides; leave out --${first[0] === "psk" ? given[1]?.[0] : first[0]}`);
  const [, identity = "", key = ""] = /^([^=]+)=(.+)$/s.exec(psk ?? "") ?? [];
  if (psk !== undefined && identity === "")
    throw new UsageError(`--psk ${psk} is no identity with the file of its key; write --psk lamp-7=lamp-7.key`);
  const read = readClientCredentials({
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || certKey === undefined ? {} : { cert, key: certKey }),
    ...(psk === undefined ? {} : { psk: { identity, key } }),
  });
  if (read.ok) return read.credentials;
  const [problem] = read.problems;
  throw new UsageError(`--${optionOf(problem?.path[0])}: ${problem?.message}`);
}

function secured(uri: string): string {
  return uri.replace(/^[a-z+]+:/, "coaps+tcp:");
}

function optionOf(key: string | number | undefined): string {
  return key === "key" ? "cert-key" : String(key);
}

interface Contexts {
  readonly isEmpty: boolean;
  readonly protect: ChooseProtection;
  close(): void;
}

/** The module is loaded only when it is needed. */
async function openContexts(options: readonly string[]): Promise<Contexts> {
  const everywhere: ProtectChannel[] = [];
  const byServer = new Map<string, ProtectChannel>();
  const closers: (() => void)[] = [];
  const close = (): void => {
    for (const each of closers.splice(0)) each();
  };
  if (options.length === 0) return { isEmpty: true, protect: () => null, close };
  const { openContextAlone, OscoreError, protectRequests } = await import("@tributary/oscore");
  for (const option of options) {
    const [, server, folder = option] = /^(coap[a-z+]*:[^=]*)=(.+)$/s.exec(option) ?? [];
    const key = server === undefined ? null : serverKey(server);
    if (key === null ? everywhere.length > 0 : byServer.has(key)) {
      close();
      throw new UsageError(`--oscore ${option}: there is one before; write --oscore URI=FOLDER for each server`);
    }
    try {
      const opened = openContextAlone({ logger: silentLogger, randomBytes: (length) => randomBytes(length) }, folder);
      closers.push(opened.close);
      const protect = protectRequests(opened.context);
      if (key === null) everywhere.push(protect);
      else byServer.set(key, protect);
    } catch (error) {
      close();
      throw error instanceof OscoreError ? new UsageError(`--oscore ${error.message}`) : error;
    }
  }
  return {
    isEmpty: false,
    protect: ({ host, port }) => byServer.get(`${host} ${port}`) ?? everywhere[0] ?? null,
    close,
  };
}

function serverKey(uri: string): string {
  const parsed = parseCoapOrigin(uri);
  if (!parsed.ok) throw new UsageError(`--oscore ${parsed.message}`);
  const { host, port } = parseCoapUri(parsed.origin.uri);
  return `${host} ${port}`;
}
