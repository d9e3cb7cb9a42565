import { fileURLToPath } from "node:url";
import { beforeEach, expect, test } from "vitest";
import { Link } from "../harness/link.js";
import {
  eventually,
  PINNED_NODE,
  requirePeers,
  runProcess,
  runTributary,
  startProcess,
  startTributary,
  TRIBUTARY,
  untilWritten,
} from "../peers/peers.js";

const SIMPLE_ENDPOINT = fileURLToPath(new URL("simple-endpoint.mjs", import.meta.url));
const ASK = fileURLToPath(new URL("ask.mjs", import.meta.url));
/** `GET /.well-known/core?rt=core.rd*`, confirmable and not; and other things that it answers with an error, or not at all. */
const CON = "40010001bb2e77656c6c2d6b6e6f776e04636f72654b72743d636f72652e72642a";
const NON = `50${CON.slice(2)}`;
const NON_NOTHING = "50010002bb2e77656c6c2d6b6e6f776e04636f72654a72743d6e6f7468696e67";
const NON_UNKNOWN = "50010003b46e6f7065";
/** Longer than Leisure (RFC 7252 section 8.2). */
const LEISURE_MS = 6000;
const ACK_TYPE = 2;
const NON_TYPE = 1;
const CONTENT = 69;

interface Answer {
  readonly from: string;
  readonly type: number;
  readonly code: number;
}

beforeEach((context) => requirePeers(context, "netns"));

async function ask(link: Link, address: string, hex: string, waitMs: number, ...zone: string[]): Promise<Answer[]> {
  const args = [ASK, address, "5683", hex, String(waitMs), ...zone];
  const { stdout, stderr } = await runProcess(PINNED_NODE, args, { netns: link.client });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as Answer[];
}

async function isAnsweredFrom(link: Link, address: string, ...zone: string[]): Promise<boolean> {
  const [answer] = await ask(link, address, CON, 1000, ...zone);
  return answer?.from === address && answer.type === ACK_TYPE && answer.code === CONTENT;
}

function startRd(link: Link, listen: string) {
  return startTributary({
    config: { name: "rd", listen: [listen], http: false, registration: {} },
    netns: link.server,
  });
}

test("a response leaves from the address that was asked (RFC 7252 section 5.3.2)", async () => {
  const link = new Link();
  for (const listen of ["coap://[::]:5683", "coap://0.0.0.0:5683"]) {
    const node = await startRd(link, listen);
    const addresses = ["10.9.0.1", "10.9.0.2", ...(listen.includes("::") ? ["fd09::1", "fd09::2"] : [])];
    const answers = await Promise.all(addresses.map((address) => ask(link, address, CON, 1500)));
    expect(answers).toEqual(addresses.map((from) => [{ from, type: ACK_TYPE, code: CONTENT }]));
    await node.kill("SIGTERM");
  }
});

test("link-local addresses, and addresses that come later, are answered from", async () => {
  const link = new Link();
  await startRd(link, "coap://[::]:5683");
  const linkLocal = await eventually(() => link.linkLocal(link.server));
  await eventually(() => isAnsweredFrom(link, linkLocal, "eth0"));
  link.addAddress(link.server, "fd09::3/64");
  await eventually(() => isAnsweredFrom(link, "fd09::3"));
});

test("the groups of all CoAP nodes and all RDs are answered once, also on an interface that comes up later", async () => {
  const link = new Link();
  link.setDown(link.server);
  await startRd(link, "coap://[::]:5683");
  link.setUp(link.server);
  for (const address of ["fd09::1/64", "fd09::2/64"]) link.addAddress(link.server, address);
  await eventually(async () => (await ask(link, "ff02::fd", NON, LEISURE_MS, "eth0")).length === 1);
  const groups = ["ff02::fe", "ff05::fe", "224.0.1.187", "224.0.1.190"];
  const answers = await Promise.all(
    groups.map((group) => ask(link, group, NON, LEISURE_MS, ...(group.includes(":") ? ["eth0"] : []))),
  );
  for (const each of answers) expect(each).toEqual([expect.objectContaining({ type: NON_TYPE, code: CONTENT })]);
});

test("what goes to every host is answered by the rules of multicast (RFC 7252 section 8)", async () => {
  const link = new Link();
  await startRd(link, "coap://[::]:5683");
  const targets = [["ff02::1", "eth0"], ["224.0.0.1"], ["10.9.0.255"]] as const;
  const asked = targets.map(async ([address, ...zone]) => ({
    address,
    useful: await ask(link, address, NON, LEISURE_MS, ...zone),
    useless: await Promise.all(
      [CON, NON_NOTHING, NON_UNKNOWN].map((hex) => ask(link, address, hex, LEISURE_MS, ...zone)),
    ),
  }));
  const useful = [expect.objectContaining({ type: NON_TYPE, code: CONTENT })];
  for (const answers of await Promise.all(asked))
    expect(answers).toEqual({ address: answers.address, useful, useless: [[], [], []] });
});

test("RFC 9176 section 5.1: links are fetched from the address and port that the endpoint spoke to", async () => {
  const link = new Link();
  const node = await startRd(link, "coap://[::]:5683");
  const addresses = ["10.9.0.1", "10.9.0.2", "fd09::1", "fd09::2"];
  for (const address of addresses) {
    const args = [SIMPLE_ENDPOINT, address, "5683", "simple"];
    const { stdout } = await runProcess(PINNED_NODE, args, { netns: link.client });
    expect([address, stdout.trim()]).toEqual([address, "2.04"]);
  }
  await node.stop();
});

test("register and lookup find an RD by multicast (RFC 9176 section 4.1)", async () => {
  const link = new Link();
  await startRd(link, "coap://[::]:5683");
  const args = [TRIBUTARY, "register", "--ep", "found", "</a>"];
  const endpoint = startProcess(PINNED_NODE, args, { netns: link.client });
  const [registered] = await untilWritten(endpoint, "stdout", /^registered .*$/m, 30_000);
  // An address that means something on one link only comes last.
  expect(registered).not.toContain("fe80");
  const { stdout } = await runTributary(["lookup", "ep"], { netns: link.client });
  expect(stdout).toContain('ep="found"');
  const found = await runTributary(["discover", "--json"], { netns: link.client });
  const servers = JSON.parse(found.stdout) as { uri: string; roles: string[] }[];
  expect(servers.find(({ uri }) => !uri.includes("fe80"))?.roles).toEqual([
    "registration",
    "endpoint lookup",
    "resource lookup",
  ]);
  await endpoint.stop();
});
