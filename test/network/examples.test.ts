import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, expect, test } from "vitest";
import { FIGURE_HOSTS, NamespaceNetwork } from "../harness/namespaces.js";
import {
  eventually,
  PINNED_NODE,
  requirePeers,
  runTributary,
  startProcess,
  startTributary,
  TRIBUTARY,
  temporaryFolder,
  untilWritten,
} from "../peers/peers.js";

const EXAMPLES = fileURLToPath(new URL("../../deploy/examples/", import.meta.url));
/** The hosts of the figure and the region above them, each with the file that is written for it. */
const FILES = {
  host1: "host1-rd-a-lp-x.yaml",
  host2: "host2-rd-b-lp-y.yaml",
  host3: "host3-rd-c.yaml",
  host4: "host4-lp-z.yaml",
  region: "region.yaml",
} as const;
const REGION = "coap://[2001:db8:e::1]";

beforeEach((context) => requirePeers(context, "netns"));

interface UpstreamLine {
  readonly name: string;
  readonly phase: string;
}

test("the examples for the draft's figure and the region above it fit together as they are", async () => {
  const network = new NamespaceNetwork([...FIGURE_HOSTS, { name: "region", address: "2001:db8:e::1/64" }]);
  const folder = temporaryFolder();
  for (const [host, file] of Object.entries(FILES)) {
    // A copy, because state is written beside it.
    const configFile = join(folder, host, file);
    mkdirSync(join(folder, host));
    writeFileSync(configFile, readFileSync(`${EXAMPLES}${file}`));
    await startTributary({ configFile, netns: network.host(host) });
  }
  const run = async (host: string, ...args: string[]) => {
    const { status, stdout, stderr } = await runTributary(args, { netns: network.host(host), timeoutMs: 60_000 });
    if (status !== 0) throw new Error(`${host}: ${args.join(" ")}: ${stderr}${stdout}`);
    return stdout;
  };
  const phases = async (host: string) => {
    const upstreams = JSON.parse(await run(host, "status", "--json")) as UpstreamLine[];
    return Object.fromEntries(upstreams.map(({ name, phase }) => [name, phase]));
  };
  const live = (...names: string[]) => Object.fromEntries(names.map((name) => [name, "live"]));
  const expected = {
    host1: live("rd-b", "rd-c"),
    host2: live("rd-a", "rd-c"),
    host4: live("rd-a", "rd-b", "rd-c"),
    region: live("site23", "site4"),
  };
  await eventually(
    async () => {
      const found = await Promise.all(Object.keys(expected).map(async (host) => [host, await phases(host)]));
      expect(Object.fromEntries(found)).toEqual(expected);
      return true;
    },
    { what: "all upstreams live", timeoutMs: 60_000 },
  );

  const registered = { host1: "rd-a", host2: "rd-b", host3: "rd-c" };
  for (const [host, ep] of Object.entries(registered)) {
    const rd = FIGURE_HOSTS.find(({ name }) => name === host)?.address.replace(/\/.*/, "");
    const args = ["register", "--at", `coap://[${rd}]`, "--ep", ep, "--base", `coap://${ep}.example`];
    const endpoint = startProcess(PINNED_NODE, [TRIBUTARY, ...args, "</t>;rt=temperature"], {
      netns: network.host(host),
    });
    await untilWritten(endpoint, "stdout", /^registered /m);
  }
  await eventually(
    async () => {
      const found = await run("host4", "lookup", "res", "rt=temperature", "--at", REGION);
      for (const ep of Object.values(registered)) expect(found).toContain(`coap://${ep}.example/t`);
      return true;
    },
    { what: "what is registered at the sites, at the region", timeoutMs: 60_000 },
  );
}, 180_000);
