/**
 * Other people's programs, and our own as a process, for tests over real sockets. `install.mjs` prepares them and
 * `peers.json` names them.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, test } from "vitest";
import { findProgram } from "./find-program.js";
import {
  type Finished,
  freePort,
  type ProcessOptions,
  type RunningProcess,
  runProcess,
  startProcess,
  temporaryFolder,
  untilWritten,
} from "./processes.js";

export { atEnd } from "./lifetime.js";
export {
  type Exit,
  eventually,
  type Finished,
  freePort,
  HopelessError,
  type ProcessOptions,
  type RunningProcess,
  runProcess,
  startProcess,
  temporaryFolder,
  untilWritten,
} from "./processes.js";

interface PeersFile {
  readonly folder: string;
  readonly aiocoap: { readonly requirement: string };
  readonly nats: { readonly requirement: string };
  readonly olderNats: { readonly requirement: string };
  readonly debian: Readonly<Record<"libcoap" | "chromium" | "iproute2" | "nftables" | "tshark", DebianPeer>>;
}

interface DebianPeer {
  readonly package: string;
  readonly commands: readonly string[];
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PEERS = JSON.parse(readFileSync(new URL("peers.json", import.meta.url), "utf8")) as PeersFile;
const VENV_BIN = join(ROOT, PEERS.folder, "venv/bin");
const OLDER_NATS = join(ROOT, PEERS.folder, "older-nats/bin/nats-server");

/** The pinned Node itself, not the shell script of that name in `.bin`. */
export const PINNED_NODE = join(ROOT, "node_modules/node/bin/node");
/** The program as it is published; runs what was built. */
export const TRIBUTARY = join(ROOT, "packages/cli/bin/tributary.js");

/** `netns`: leave to make network namespaces (root). */
export type Peer = keyof PeersFile["debian"] | "aiocoap" | "nats" | "older-nats" | "netns" | "promtool";

// What is there and what is not

function canMakeNamespaces(): boolean {
  const name = `tributary-probe-${process.pid}`;
  try {
    execFileSync("ip", ["netns", "add", name], { stdio: "ignore" });
    execFileSync("ip", ["netns", "del", name], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function whyMissing(peer: Peer): string | null {
  if (peer === "netns") return canMakeNamespaces() ? null : "no leave to make network namespaces";
  if (peer === "aiocoap")
    return existsSync(join(VENV_BIN, "aiocoap-rd")) ? null : `no ${PEERS.aiocoap.requirement} in ${PEERS.folder}`;
  if (peer === "nats")
    return existsSync(join(VENV_BIN, "nats-server")) ? null : `no ${PEERS.nats.requirement} in ${PEERS.folder}`;
  if (peer === "older-nats")
    return existsSync(OLDER_NATS) ? null : `no ${PEERS.olderNats.requirement} in ${PEERS.folder}`;
  if (peer === "promtool") return promtoolPath() === undefined ? "no promtool (Debian: prometheus)" : null;
  const { commands, package: name } = PEERS.debian[peer];
  return findProgram(commands) === undefined ? `no ${commands[0]} (Debian: ${name})` : null;
}

/** The program that checks rules of Prometheus; undefined: there is none. */
export function promtoolPath(): string | undefined {
  const own = join(ROOT, PEERS.folder, "prometheus/usr/bin/promtool");
  return findProgram(["promtool"]) ?? (existsSync(own) ? own : undefined);
}

/** Why these peers cannot be used, or `null` when all of them can. */
export function missingPeers(...peers: readonly Peer[]): string | null {
  const reasons = peers.map(whyMissing).filter((reason) => reason !== null);
  return reasons.length === 0 ? null : `${reasons.join(", ")}; \`npm test\` installs what it may`;
}

/** Skip the test, saying why, when a peer is missing; where CI is set, fail it. */
export function requirePeers(context: { skip(note?: string): unknown }, ...peers: readonly Peer[]): void {
  const missing = missingPeers(...peers);
  if (missing === null) return;
  if (process.env.CI !== undefined) throw new Error(missing);
  context.skip(missing);
}

/** `describe` for tests that need peers: without them they are skipped, saying why; where CI is set, that is a failure. */
export function describeWithPeers(peers: readonly Peer[], title: string, body: () => void): void {
  const missing = missingPeers(...peers);
  if (missing === null) describe(title, body);
  else if (process.env.CI === undefined) describe.skip(`${title} (${missing})`, body);
  else
    test(title, () => {
      throw new Error(missing);
    });
}

function existing(path: string | undefined, peer: Peer): string {
  if (path === undefined || !existsSync(path)) throw new Error(missingPeers(peer) ?? `no ${path}`);
  return path;
}

/** libcoap's client. Debian adds the name of its TLS library to the command. */
export function coapClientPath(): string {
  return existing(findProgram(PEERS.debian.libcoap.commands), "libcoap");
}

/** The browser for tests of the status page. */
export function chromiumPath(): string {
  return existing(findProgram(PEERS.debian.chromium.commands), "chromium");
}

/** aiocoap's client, of the version that peers.json pins. */
export function aiocoapClientPath(): string {
  return existing(join(VENV_BIN, "aiocoap-client"), "aiocoap");
}

/** The interpreter that has the aiocoap library. */
export function aiocoapPython(): string {
  return join(dirname(aiocoapClientPath()), "python");
}

/** aiocoap's resource directory, of the same version. */
export function aiocoapRdPath(): string {
  return existing(join(VENV_BIN, "aiocoap-rd"), "aiocoap");
}

/** The NATS server, of the version that peers.json pins. */
export function natsServerPath(): string {
  return existing(join(VENV_BIN, "nats-server"), "nats");
}

/** A NATS server that is older than what a shared directory needs. */
export function olderNatsServerPath(): string {
  return existing(OLDER_NATS, "older-nats");
}

// aiocoap and libcoap

export type RunOptions = ProcessOptions & { readonly timeoutMs?: number };

/**
 * Run libcoap's client to its end. The payload is on stdout. It ends with 0 also after an error response, whose code is on
 * stderr (`4.04 Not Found`), and after 5 s without a response.
 */
export function coapClient(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return runProcess(coapClientPath(), ["-B", "5", ...args], options);
}

/** Run libcoap's client with this TLS library to its end. */
export function runTlsClient(library: "openssl" | "gnutls", args: readonly string[]): Promise<Finished> {
  return runProcess(existing(findProgram([`coap-client-${library}`]), "libcoap"), ["-B", "5", ...args], {});
}

/** One transport. The others would need a TCP port of the same number, and `udp6` serves IPv4 addresses too. */
const AIOCOAP_ENVIRONMENT = {
  AIOCOAP_CLIENT_TRANSPORT: "udp6",
  AIOCOAP_SERVER_TRANSPORT: "udp6",
  // A port in use is an error, and not shared with another process that then gets some of the datagrams.
  AIOCOAP_REUSE_PORT: "0",
  PYTHONUNBUFFERED: "1",
};

/** Run aiocoap's client to its end. The payload is on stdout; it ends with 1 after an error response. */
export function aiocoapClient(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return runProcess(aiocoapClientPath(), ["-q", ...args], { ...options, env: aiocoapEnvironment(options) });
}

function aiocoapEnvironment({ env }: ProcessOptions): Record<string, string> {
  return { ...AIOCOAP_ENVIRONMENT, ...env };
}

/** libcoap's client observing for a minute; its stdout grows with each notification. */
export function startCoapObserver(uri: string, options: ProcessOptions = {}): RunningProcess {
  return startProcess(coapClientPath(), ["-s", "60", "-m", "get", uri], options);
}

/** An observation by the aiocoap library (its command line client cancels its observations after the first answer). */
const AIOCOAP_OBSERVER = `
import asyncio, json, sys, aiocoap

async def main(uri, credentials=None):
    context = await aiocoap.Context.create_client_context()
    if credentials is not None:
        context.client_credentials.load_from_dict(json.load(open(credentials)))
    request = context.request(aiocoap.Message(code=aiocoap.GET, uri=uri, observe=0))
    print((await request.response).payload.decode(), flush=True)
    async for notification in request.observation:
        print(notification.payload.decode(), flush=True)

asyncio.run(main(*sys.argv[1:]))
`;

/** aiocoap observing; its stdout grows with each notification. `credentials`: a file of security contexts, as its client takes it. */
export function startAiocoapObserver(
  uri: string,
  options: ProcessOptions & { readonly credentials?: string } = {},
): RunningProcess {
  const { credentials } = options;
  return startProcess(
    aiocoapPython(),
    ["-c", AIOCOAP_OBSERVER, uri, ...(credentials === undefined ? [] : [credentials])],
    { ...options, env: aiocoapEnvironment(options) },
  );
}

/** A server by the aiocoap library, over TCP alone: `/time`, observable, changes every half second; `/large` has 3 MB. */
const AIOCOAP_TCP_SERVER = `
import asyncio, datetime, sys, aiocoap
from aiocoap import resource

class Time(resource.ObservableResource):
    async def tick(self):
        while True:
            await asyncio.sleep(0.5)
            self.updated_state()
    async def render_get(self, request):
        return aiocoap.Message(payload=datetime.datetime.now().isoformat().encode())

class Large(resource.Resource):
    async def render_get(self, request):
        return aiocoap.Message(payload=bytes(3000000))

async def main(port):
    root = resource.Site()
    time = Time()
    root.add_resource([".well-known", "core"], resource.WKCResource(root.get_resources_as_linkheader))
    root.add_resource(["time"], time)
    root.add_resource(["large"], Large())
    await aiocoap.Context.create_server_context(root, bind=("::1", port), transports=["tcpserver"])
    await time.tick()

asyncio.run(main(int(sys.argv[1])))
`;

/** aiocoap as a server over TCP on `[::1]`. */
export function startAiocoapServer(port: number): RunningProcess {
  const python = join(dirname(aiocoapClientPath()), "python");
  return startProcess(python, ["-c", AIOCOAP_TCP_SERVER, String(port)], { env: { PYTHONUNBUFFERED: "1" } });
}

/** libcoap's example server on `[::1]`, over UDP and TCP: `/time` is observable. */
export function startCoapServer(port: number): RunningProcess {
  const server = findProgram(["coap-server", "coap-server-notls", "coap-server-openssl", "coap-server-gnutls"]);
  return startProcess(existing(server, "libcoap"), ["-A", "::1", "-p", String(port)], {});
}

export interface CoapServer extends RunningProcess {
  /** Without a slash at the end. */
  readonly uri: string;
}

/** `aiocoap-rd` with its log on, which is where it says that it is ready; its own --verbose does not reach that line. */
const AIOCOAP_RD_WITH_LOG = [
  "import logging",
  "from aiocoap.cli.rd import sync_main",
  "logging.basicConfig(level=logging.INFO)",
  "sync_main()",
].join("\n");

/**
 * Start aiocoap's RD and wait until it is ready; fails with what it logged if it ends before. `bind` is an address with or
 * without a port, IPv6 in brackets (default `[::1]`); without a port, a free one is taken. It must be one
 * address, since `uri` leads there.
 */
export async function startAiocoapRd(
  options: ProcessOptions & { readonly bind?: string; readonly args?: readonly string[] } = {},
): Promise<CoapServer> {
  const [, host = "", , chosenPort] = /^(\[[^\]]+\]|[^:]+)(:(\d+))?$/.exec(options.bind ?? "[::1]") ?? [];
  if (host === "") throw new Error(`not an address with or without a port: ${options.bind}`);
  for (let attempt = 1; ; attempt++) {
    // In another namespace, what is free here says nothing.
    const port = chosenPort ?? (options.netns === undefined ? await freePort(host.replace(/[[\]]/g, "")) : 5683);
    const args = ["-c", AIOCOAP_RD_WITH_LOG, "--bind", `${host}:${port}`, ...(options.args ?? [])];
    const rd = startProcess(aiocoapPython(), args, {
      ...options,
      env: aiocoapEnvironment(options),
    });
    try {
      await untilWritten(rd, "stderr", /Application ready/);
      return { ...rd, uri: `coap://${host}:${port}` };
    } catch (error) {
      // Someone else took the port in the meantime.
      if (chosenPort !== undefined || attempt === 3 || !rd.stderr().includes("Address already in use")) throw error;
    }
  }
}

// Tributary

export interface TributaryNode extends RunningProcess {
  readonly name: string;
  /** What it listens on, with the ports that it got. */
  readonly uris: readonly string[];
}

export interface TributaryOptions extends ProcessOptions {
  /** Text of a configuration file, or the same as an object. Neither this nor `configFile`: the embedded defaults. */
  readonly config?: string | object;
  readonly configFile?: string;
  /** More arguments for `serve`. */
  readonly args?: readonly string[];
}

/** Start `tributary serve` and wait for its ready line; fails with what it logged if it ends before. */
export async function startTributary(options: TributaryOptions = {}): Promise<TributaryNode> {
  const file = options.config === undefined ? options.configFile : writeConfig(options.config);
  const args = ["serve", ...(file === undefined ? [] : ["-c", file]), ...(options.args ?? [])];
  const started = startProcess(PINNED_NODE, [TRIBUTARY, ...args], options);
  const [, name = "", uris = ""] = await untilWritten(started, "stdout", /^ready name=(\S+) listen=(\S+)$/m);
  return { ...started, name, uris: uris.split(",") };
}

function writeConfig(config: string | object): string {
  const file = join(temporaryFolder(), "tributary.yaml");
  // JSON is YAML.
  writeFileSync(file, typeof config === "string" ? config : JSON.stringify(config));
  return file;
}

/** Run another `tributary` command to its end. */
export function runTributary(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return runProcess(PINNED_NODE, [TRIBUTARY, ...args], options);
}
