import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { Bridge } from "../harness/bridge.js";
import {
  aiocoapClient,
  aiocoapPython,
  coapClient,
  describeWithPeers,
  eventually,
  PINNED_NODE,
  runProcess,
  runTributary,
  startAiocoapObserver,
  startCoapObserver,
  startProcess,
  startTributary,
  TRIBUTARY,
  type TributaryNode,
  temporaryFolder,
  untilWritten,
} from "../peers/peers.js";

/** Members of the pool, each a process in a namespace of its own. */
const MEMBERS = Number(process.env.GLOBAL_LOOKUP_MEMBERS ?? 4);
const POOL_PORT = 49_737;
/** Base64url of a KID context of OSCORE. */
const NAME = "N8vzIQAXotM";
const LONG = "0123456789".repeat(1024);
const ENDPOINT = fileURLToPath(new URL("../peers/aiocoap-endpoint.py", import.meta.url));
/** Tries to connect for half a second. */
const CONNECT =
  "require('net').connect(+process.argv[2], process.argv[1], () => console.log('in')); setTimeout(() => process.exit(), 500)";

const names = Array.from({ length: MEMBERS }, (_, at) => `n${at + 1}`);

describeWithPeers(
  ["netns", "nftables", "libcoap", "aiocoap"],
  `a pool of ${MEMBERS} members, and an endpoint that can only call out (draft 6.3)`,
  () => {
    let bridge: Bridge;
    const nodes = new Map<string, TributaryNode>();
    const device = () => ({ netns: bridge.host("device") });
    const client = () => ({ netns: bridge.host("client") });
    /** Members that are not among those by which others join. */
    const [own, other] = ["n3", names.at(-1) as string];
    const folder = temporaryFolder();

    beforeAll(async () => {
      bridge = new Bridge([...names, "device", "client"]);
      bridge.onlyCallsOut("device");
      const bootstrap = names.slice(0, 2).map((name) => `${bridge.address(name)}:${POOL_PORT}`);
      const start = async (name: string) => {
        const address = bridge.address(name);
        const config = {
          name,
          listen: [`coap://${address}`, `coap+tcp://${address}`],
          http: false,
          registration: { proxy: { ports: "6000-6010" } },
          global: { pool: { listen: `${address}:${POOL_PORT}`, bootstrap }, allow: ["private"], rate: 200 },
          ...(name === own ? { log: { level: "trace" } } : {}),
        };
        nodes.set(name, await startTributary({ config, netns: bridge.host(name) }));
      };
      for (const name of names.slice(0, 2)) await start(name);
      await Promise.all(names.slice(2).map(start));
    });

    const at = (name: string, path = "") => `coap://${bridge.address(name)}${path}`;
    /** The base of the endpoint of that name, found by a client at a member where it did not register. */
    const baseOf = async (name: string): Promise<string> => {
      let uri = "";
      await eventually(
        async () => {
          const args = ["resolve", `oscore://${name}/`, "--at", at(other)];
          [uri = ""] = (await runTributary(args, client())).stdout.split("\n");
          return uri !== "";
        },
        { what: `${name} to be found` },
      );
      return uri.replace(/\/$/, "");
    };

    test("the filter lets nothing in", async () => {
      const listening = startProcess(
        PINNED_NODE,
        ["-e", "require('net').createServer().listen(7, () => console.log('ready'))"],
        device(),
      );
      await untilWritten(listening, "stdout", /^ready/m);
      const connect = (netns: string) =>
        runProcess(PINNED_NODE, ["-e", CONNECT, bridge.address("device"), "7"], { netns });
      expect((await connect(bridge.host("device"))).stdout).toBe("in\n");
      expect((await connect(bridge.host("client"))).stdout).toBe("");
    });

    test("GET, PUT, Observe and a body of 10 kB reach it from a client that knows its name", async () => {
      writeFileSync(join(folder, "state.txt"), "closed");
      const args = ["register", "--proxy", "--at", `coap+tcp://${bridge.address(own)}`, "--serve", folder];
      const registering = startProcess(PINNED_NODE, [TRIBUTARY, ...args, "--ep", "lamp"], device());
      await untilWritten(registering, "stdout", /^registered/m);
      const base = await baseOf("lamp");
      expect(base).toMatch(new RegExp(`^coap://${bridge.address(own)}:60\\d\\d$`));
      const uri = `${base}/state.txt`;
      expect((await coapClient([uri], client())).stdout.trim()).toBe("closed");
      const observer = startCoapObserver(uri, client());
      await untilWritten(observer, "stdout", /closed/);
      await coapClient(["-m", "put", "-e", "open", uri], client());
      await untilWritten(observer, "stdout", /open/);
      const file = join(temporaryFolder(), "long.txt");
      writeFileSync(file, LONG);
      await coapClient(["-m", "put", "-b", "512", "-f", file, `${base}/long.txt`], client());
      expect(readFileSync(join(folder, "long.txt"), "utf8")).toBe(LONG);
      expect((await coapClient(["-b", "256", `${base}/long.txt`], client())).stdout.trim()).toBe(LONG);
    });

    test("what aiocoap protects by OSCORE passes untouched, from end to end", async () => {
      const credentials = contexts(temporaryFolder());
      const registration = `coap+tcp://${bridge.address(own)}/rd?ep=${NAME}&proxy`;
      const endpoint = startProcess(aiocoapPython(), [ENDPOINT, registration, ...credentials.endpoint], {
        ...device(),
        env: { PYTHONUNBUFFERED: "1" },
      });
      await untilWritten(endpoint, "stdout", /^registered 2\.01/m);
      const uri = `${await baseOf(NAME)}/state`;
      const withOscore = { ...client(), env: { AIOCOAP_CLIENT_TRANSPORT: "oscore:udp6" } };
      const ask = (...args: string[]) => aiocoapClient(["--credentials", credentials.client, ...args, uri], withOscore);
      // Without its key nobody gets an answer.
      expect(await aiocoapClient([uri], client())).toMatchObject({ status: 1, stdout: "" });
      expect((await ask()).stdout).toBe("closed");
      const before = nodes.get(own)?.stderr().length ?? 0;
      expect((await ask("-m", "PUT", "--payload", LONG)).status).toBe(0);
      expect((await ask()).stdout).toBe(LONG);
      const observer = startAiocoapObserver(uri, { ...withOscore, credentials: credentials.watcher });
      await untilWritten(observer, "stdout", /0123456789/);
      expect((await ask("-m", "PUT", "--payload", "ajar")).status).toBe(0);
      await untilWritten(observer, "stdout", /ajar/);
      // The RD saw neither the path nor what was written.
      const passed = (nodes.get(own)?.stderr() ?? "").slice(before);
      expect(passed).toMatch(/POST|FETCH/);
      expect(passed).not.toMatch(/PUT|\/state|ajar/);
    });
  },
);

/** Security contexts (RFC 8613) of an endpoint with two clients, as aiocoap reads them: no two processes may use one. */
function contexts(place: string): {
  readonly endpoint: readonly string[];
  readonly client: string;
  readonly watcher: string;
} {
  const pair = (name: string, id: string) => {
    const own = join(place, `${name}/`);
    const its = join(place, `endpoint-${name}/`);
    for (const [path, sender, recipient] of [
      [own, id, "00"],
      [its, "00", id],
    ] as const) {
      mkdirSync(path);
      const context = { "sender-id_hex": sender, "recipient-id_hex": recipient, secret_ascii: `known to the ${name}` };
      writeFileSync(join(path, "settings.json"), JSON.stringify({ ...context, "id-context_hex": "37cbf3210017a2d3" }));
    }
    const credentials = join(place, `${name}.json`);
    writeFileSync(credentials, JSON.stringify({ "coap://*": { oscore: { basedir: own } } }));
    return { its, credentials };
  };
  const [client, watcher] = [pair("client", "01"), pair("watcher", "02")];
  return { endpoint: [client.its, watcher.its], client: client.credentials, watcher: watcher.credentials };
}
