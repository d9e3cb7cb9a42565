import { createSocket } from "node:dgram";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Finished, type ProcessOptions, type RunningProcess, runProcess, startProcess } from "./processes.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const VENV = join(ROOT, ".test-peers/venv/bin");

/** Debian packages libcoap's client under the name of its TLS library. */
const COAP_CLIENTS = [
  "/usr/bin/coap-client",
  "/usr/bin/coap-client-notls",
  "/usr/bin/coap-client-openssl",
  "/usr/bin/coap-client-gnutls",
];
const COAP_CLIENT = COAP_CLIENTS.find((path) => existsSync(path));

/** What is missing for tests against real peers, or null. `npm test` installs them where it may. */
export function missingPeers(): string | null {
  if (COAP_CLIENT === undefined) return "libcoap's coap-client (Debian: libcoap3-bin)";
  return existsSync(join(VENV, "aiocoap-client")) ? null : "aiocoap (PyPI)";
}

/** libcoap's client; prints the payload on stdout and the code of an error on stderr. */
export function coapClient(
  args: readonly string[],
  options: ProcessOptions & { timeoutMs?: number } = {},
): Promise<Finished> {
  return runProcess([COAP_CLIENT as string, "-B", "5", ...args], options);
}

/** aiocoap's client. */
export function aiocoapClient(
  args: readonly string[],
  options: ProcessOptions & { timeoutMs?: number } = {},
): Promise<Finished> {
  return runProcess([join(VENV, "aiocoap-client"), "-q", ...args], options);
}

/** libcoap's client observing for a minute; its stdout grows with each notification. */
export function startCoapObserver(uri: string): RunningProcess {
  return startProcess([COAP_CLIENT as string, "-s", "60", "-m", "get", uri]);
}

/** An observation by the aiocoap library (its command line client cancels its observations after the first answer). */
const AIOCOAP_OBSERVER = `
import asyncio, sys, aiocoap

async def main(uri):
    context = await aiocoap.Context.create_client_context()
    request = context.request(aiocoap.Message(code=aiocoap.GET, uri=uri, observe=0))
    print((await request.response).payload.decode(), flush=True)
    async for notification in request.observation:
        print(notification.payload.decode(), flush=True)

asyncio.run(main(sys.argv[1]))
`;

/** aiocoap observing; its stdout grows with each notification. */
export function startAiocoapObserver(uri: string): RunningProcess {
  return startProcess([join(VENV, "python3"), "-c", AIOCOAP_OBSERVER, uri]);
}

/** aiocoap's resource directory on loopback, at a free port. */
export async function startAiocoapRd(): Promise<RunningProcess & { readonly uri: string }> {
  const port = await freePort();
  const running = startProcess([join(VENV, "aiocoap-rd"), "--bind", `[::1]:${port}`]);
  return Object.assign(running, { uri: `coap://[::1]:${port}` });
}

/** A UDP port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const socket = createSocket("udp6");
  await new Promise<void>((resolve) => socket.bind(0, "::1", resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}
