import { chmodSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { aiocoapClientPath, temporaryFolder } from "./peers.js";
import { type RunningProcess, startProcess } from "./processes.js";

/** Transports of aiocoap, with OSCORE over them. */
export const OVER_UDP = { AIOCOAP_CLIENT_TRANSPORT: "oscore:udp6", AIOCOAP_SERVER_TRANSPORT: "oscore:udp6" };
export const OVER_TCP = { AIOCOAP_CLIENT_TRANSPORT: "oscore:tcpclient", AIOCOAP_SERVER_TRANSPORT: "oscore:tcpserver" };

/** Writes a file of credentials for aiocoap: contexts by the URIs that a client uses them for, or by names with a colon at a server. */
export function writeCredentials(contexts: Readonly<Record<string, string>>): string {
  const file = join(temporaryFolder(), "credentials.json");
  const entries = Object.entries(contexts).map(([use, basedir]) => [use, { oscore: { basedir: `${basedir}/` } }]);
  writeFileSync(file, JSON.stringify(Object.fromEntries(entries)));
  chmodSync(file, 0o600);
  return file;
}

/** Observes a URI under a context. */
const OBSERVER = `
import asyncio, json, sys, aiocoap

async def main(uri, credentials):
    context = await aiocoap.Context.create_client_context()
    context.client_credentials.load_from_dict(json.load(open(credentials)))
    request = context.request(aiocoap.Message(code=aiocoap.GET, uri=uri, observe=0))
    print((await request.response).payload.decode(), flush=True)
    async for notification in request.observation:
        print(notification.payload.decode(), flush=True)

asyncio.run(main(*sys.argv[1:]))
`;

/**
 * A server that refuses what is not protected. /state is a text that PUT changes and that can be observed; /large has 20,000 bytes;
 * /echo returns what it gets. With a third argument, the URI of an RD over TCP, it listens nowhere: it registers there as a proxied
 * endpoint and serves over the connection that it made.
 */
const SERVER = `
import asyncio, json, sys, aiocoap
from aiocoap import resource
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper

def protected(request):
    if not request.remote.authenticated_claims:
        raise aiocoap.error.Unauthorized

class State(resource.ObservableResource):
    text = b"closed"
    async def render_get(self, request):
        protected(request)
        return aiocoap.Message(payload=self.text)
    async def render_put(self, request):
        protected(request)
        self.text = request.payload
        self.updated_state()
        return aiocoap.Message(code=aiocoap.CHANGED)

class Large(resource.Resource):
    async def render_get(self, request):
        protected(request)
        return aiocoap.Message(payload=bytes(range(256)) * 80)

class Echo(resource.Resource):
    async def render_put(self, request):
        protected(request)
        return aiocoap.Message(code=aiocoap.CHANGED, payload=request.payload)

async def main(credentials, port, rd=None):
    site = resource.Site()
    site.add_resource(["state"], State())
    site.add_resource(["large"], Large())
    site.add_resource(["echo"], Echo())
    contexts = CredentialsMap()
    contexts.load_from_dict(json.load(open(credentials)))
    site = OscoreSiteWrapper(site, contexts)
    if rd is None:
        await aiocoap.Context.create_server_context(site, bind=("::1", int(port)), server_credentials=contexts)
    else:
        context = await aiocoap.Context.create_server_context(site, transports=["tcpclient"], server_credentials=contexts)
        registration = aiocoap.Message(code=aiocoap.POST, uri=rd + "/rd?ep=sealed&proxy", payload=b'</state>;rt="state"', content_format=40)
        response = await context.request(registration).response
        print("registered", response.code, flush=True)
    print("ready", flush=True)
    await asyncio.get_running_loop().create_future()

asyncio.run(main(*sys.argv[1:]))
`;

/** aiocoap's RD behind its OSCORE; its own command reads credentials and does not use them. */
const RD = `
import asyncio, json, sys, aiocoap
from aiocoap.cli.rd import StandaloneResourceDirectory
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper

async def main(credentials, port):
    contexts = CredentialsMap()
    contexts.load_from_dict(json.load(open(credentials)))
    context = await aiocoap.Context.create_server_context(None, bind=("::1", int(port)), server_credentials=contexts)
    context.serversite = OscoreSiteWrapper(StandaloneResourceDirectory(context=context), contexts)
    print("ready", flush=True)
    await asyncio.get_running_loop().create_future()

asyncio.run(main(*sys.argv[1:]))
`;

/** aiocoap observing under a context; its stdout grows with each notification. */
export function startProtectedObserver(uri: string, credentials: string, env: object = OVER_UDP): RunningProcess {
  return run(OBSERVER, [uri, credentials], env);
}

/** aiocoap as a protected server on a UDP port of `[::1]`. */
export function startProtectedServer(credentials: string, port: number): RunningProcess {
  return run(SERVER, [credentials, String(port)], { AIOCOAP_SERVER_TRANSPORT: "udp6" });
}

/** aiocoap's RD on a UDP port of `[::1]`, for protected requests and others. */
export function startProtectedRd(credentials: string, port: number): RunningProcess {
  return run(RD, [credentials, String(port)], { AIOCOAP_SERVER_TRANSPORT: "udp6" });
}

/** The same server as an endpoint that is registered at an RD, which proxies it. */
export function startProxiedServer(credentials: string, rd: string): RunningProcess {
  return run(SERVER, [credentials, "0", rd], {});
}

function run(program: string, args: readonly string[], env: object): RunningProcess {
  const python = join(dirname(aiocoapClientPath()), "python");
  return startProcess(python, ["-c", program, ...args], { env: { PYTHONUNBUFFERED: "1", ...env } });
}
