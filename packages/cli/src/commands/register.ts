import { readFile } from "node:fs/promises";
import type { RequestHandler } from "@tributary/coap-transport";
import { GlobalLookupError, loadAnnouncerKey } from "@tributary/global-lookup/endpoint";
import { checkBase, checkLimitedLinkFormat, parseLinkFormat } from "@tributary/link-model";
import { parseCoapOrigin, systemEnvironment } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { type CommandIo, EXIT_FAILURE, UsageError } from "../command-io.js";
import { openAccess } from "../protection/protected-access.js";
import type { ProtectionFlags } from "../protection/protection-options.js";
import { createEndpointClient } from "../register/endpoint-client.js";
import { EndpointProver } from "../register/endpoint-prover.js";
import { createFileTree } from "../register/file-tree.js";
import { keepRegistered } from "../register/keep-registered.js";

/** Arguments of `tributary register`. */
export interface RegisterCommandOptions {
  readonly at: readonly string[];
  /** Absent: that of the key. */
  readonly ep?: string;
  /** File with the key of the endpoint (Ed25519, PEM), which is made where it is missing. */
  readonly key?: string;
  readonly d?: string;
  /** Seconds. */
  readonly lt?: number;
  readonly base?: string;
  /** The RD is to be its reverse proxy. */
  readonly proxy?: boolean;
  /** Folder whose files are served to clients of the endpoint. */
  readonly serve?: string;
  /** Link format, `-` for stdin, `@file`. */
  readonly links?: string;
  /** Seconds. */
  readonly timeout: number;
  readonly protection?: ProtectionFlags;
}

/** Where RDs are that are searched. */
const SEARCHED = "coap://localhost";
/** RFC 9176 section 5. */
const MAX_NAME_BYTES = 63;
/** RFC 9176 section 5, seconds. */
const DEFAULT_LIFETIME_S = 90_000;
/** Largest link document, bytes: the default limit of RDs. */
const MAX_LINKS_BYTES = 65_536;

/** `tributary register`: keeps an endpoint registered until interrupted. Returns the exit status. */
export async function register(options: RegisterCommandOptions, io: CommandIo): Promise<number> {
  const { d, lt, base } = options;
  const env = systemEnvironment(silentLogger);
  const prover = await proverOf(options, () => env.clock.wallMs() / 1000);
  const ep = options.ep ?? prover?.name;
  if (ep === undefined) throw new UsageError("register needs --ep NAME, or --key FILE for the name of a key");
  if (prover !== undefined && ep !== prover.name)
    throw new UsageError(
      `--ep ${ep} is not the name of the key ${options.key}, which is ${prover.name}; leave out --ep`,
    );
  checkName("--ep", ep);
  if (d !== undefined) checkName("--d", d);
  const baseProblem = base === undefined ? undefined : checkBase(base);
  if (baseProblem !== undefined) throw new UsageError(`--base ${base}: ${baseProblem}`);
  const origins = options.at.map(parseOrigin);
  const links = checkLinks(await readLinkDocument(options.links ?? "", io));
  const isProxied = checkProxy(options, origins);
  const handler = options.serve === undefined ? undefined : await openFolder(options.serve);
  const access = await openAccess(options.protection ?? {}, origins.length === 0 ? [SEARCHED] : origins);
  const client = createEndpointClient(io.packets, handler, access);
  try {
    const registration = {
      ep,
      links,
      ...(d === undefined ? {} : { d }),
      ...(lt === undefined ? {} : { ltS: lt }),
      ...(base === undefined ? {} : { base }),
      isProxied,
      ...(prover === undefined ? {} : { prover }),
    };
    const deps = { client, env, io };
    const isKept = await keepRegistered(deps, { registration, origins, timeoutMs: options.timeout * 1000 });
    return isKept ? 0 : EXIT_FAILURE;
  } finally {
    client.close();
    access.close();
  }
}

/** @throws {UsageError} when the file has no key. */
async function proverOf({ key, lt }: RegisterCommandOptions, nowS: () => number): Promise<EndpointProver | undefined> {
  if (key === undefined) return undefined;
  try {
    return new EndpointProver(await loadAnnouncerKey(key, "--key"), nowS, lt ?? DEFAULT_LIFETIME_S);
  } catch (error) {
    throw error instanceof GlobalLookupError ? new UsageError(error.message) : error;
  }
}

/** A proxied endpoint is reached over the connection that it makes, so that has to be one. */
function checkProxy({ proxy = false, base, serve }: RegisterCommandOptions, origins: readonly string[]): boolean {
  if (!proxy) {
    if (serve === undefined) return false;
    throw new UsageError("--serve is for what comes over the connection of a proxied endpoint; add --proxy");
  }
  if (base !== undefined) throw new UsageError("with --proxy the RD gives a base of its own; leave out --base");
  const datagram = origins.find((origin) => !/^coaps?\+tcp:/.test(origin));
  if (datagram === undefined && origins.length > 0) return true;
  throw new UsageError(
    datagram === undefined
      ? "--proxy needs an RD over TCP: write --at coap+tcp://HOST"
      : `--proxy keeps a connection, and ${datagram} has none; write --at ${datagram.replace(/^coap:/, "coap+tcp:")}`,
  );
}

async function openFolder(folder: string): Promise<RequestHandler> {
  try {
    return await createFileTree(folder);
  } catch {
    throw new UsageError(`--serve ${folder} is no folder`);
  }
}

function parseOrigin(text: string): string {
  const result = parseCoapOrigin(text);
  if (!result.ok) throw new UsageError(`--at ${result.message}`);
  return result.origin.uri;
}

/** RFC 9176 section 5: 1 to 63 bytes without control characters. */
function checkName(option: string, name: string): void {
  if (name === "" || Buffer.byteLength(name) > MAX_NAME_BYTES || /\p{Cc}/u.test(name)) {
    throw new UsageError(`${option} is a name of 1 to ${MAX_NAME_BYTES} bytes without control characters`);
  }
}

async function readLinkDocument(links: string, io: CommandIo): Promise<string | Uint8Array> {
  if (links !== "-" && !links.startsWith("@")) return links;
  try {
    return links === "-" ? await io.readInput(MAX_LINKS_BYTES) : await readFile(links.slice(1));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`the links cannot be read: ${reason}`);
  }
}

/** Checks the links, with better messages than an RD has, and returns them as text. */
function checkLinks(document: string | Uint8Array): string {
  const text = typeof document === "string" ? document : new TextDecoder().decode(document);
  const trimmed = text.trim();
  if (Buffer.byteLength(trimmed) > MAX_LINKS_BYTES)
    throw new UsageError(`the links are larger than ${MAX_LINKS_BYTES} bytes`);
  const result = parseLinkFormat(typeof document === "string" ? trimmed : new TextEncoder().encode(trimmed));
  if (!result.ok) throw new UsageError(`the links are not link format: ${result.error.message}`);
  const problem = checkLimitedLinkFormat(result.links);
  if (problem !== undefined) throw new UsageError(`the links cannot be registered: ${problem}`);
  return trimmed;
}
