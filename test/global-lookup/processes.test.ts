import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { coap } from "@tributary/coap-transport";
import { generateAnnouncerKey, keyName, loadAnnouncerKey, writeProof } from "@tributary/global-lookup";
import { parseLinkFormat } from "@tributary/link-model";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { PINNED_NODE, runTributary, startProcess, TRIBUTARY, temporaryFolder } from "../peers/peers.js";
import { type GlobalNode, type PoolPorts, poolPorts, startGlobalNode } from "./global-nodes.js";
import { startPoisoner } from "./poisoner.js";

const COUNT = 6;
const NAME = "VGhhdCdzIHRoZSBLZXlJZENvbnRleHQgdXNlZA";

let ports: PoolPorts;
let nodes: GlobalNode[];
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  ports = await poolPorts();
  nodes = await Promise.all(Array.from({ length: COUNT }, (_, index) => startGlobalNode(index, ports)));
  ends.push(() => Promise.all(nodes.map((node) => node.kill("SIGKILL"))));
  await vi.waitFor(async () => {
    for (const node of nodes) {
      const { global } = await node.status();
      expect(global).toMatchObject({ members: COUNT - 1, published: true });
    }
  }, WAIT);
});

afterAll(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const WAIT = { timeout: 60_000, interval: 50 };

/** The links that a node finds for a name, or its error with the diagnostic. */
async function find(at: number, query: string, kind = "ep") {
  const startMs = performance.now();
  const response = await coap.get(`${node(at).uri}/rd-lookup/${kind}?${query}`);
  const tookMs = performance.now() - startMs;
  const parsed = parseLinkFormat(response.code === "2.05" ? response.text() : "");
  const links = parsed.ok ? parsed.links : [];
  return { code: response.code, text: response.text(), links, tookMs, maxAgeS: response.maxAgeS };
}

function node(at: number): GlobalNode {
  return nodes[at] as GlobalNode;
}

/** Registers an endpoint that is not proxied, and waits until it is announced. */
async function register(at: number, names: readonly string[]): Promise<void> {
  const before = (await node(at).status()).global.announced;
  for (const name of names) {
    const { code } = await coap.post(`${node(at).uri}/rd?ep=${name}`);
    expect(code).toBe("2.01");
  }
  await vi.waitFor(async () => expect((await node(at).status()).global.announced).toBe(before + names.length), WAIT);
}

function attribute(links: Awaited<ReturnType<typeof find>>["links"], name: string): string {
  return links[0]?.attributes.find(([one]) => one === name)?.[1] ?? "";
}

test("DHT-01 an endpoint that registers at one node is found at another by its name, and reached through the proxy", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "state.txt"), "closed");
  const args = ["register", "--proxy", "--at", node(1).tcpUri, "--ep", NAME, "--serve", folder];
  const endpoint = startProcess(PINNED_NODE, [TRIBUTARY, ...args]);
  ends.push(() => endpoint.stop());
  await vi.waitFor(async () => expect((await node(1).status()).global).toMatchObject({ names: 1, announced: 1 }), WAIT);

  const found = await find(4, `ep=${NAME}`);
  expect(found).toMatchObject({ code: "2.05" });
  expect(found.links[0]?.target).toMatch(/^coap:\/\/127\.0\.1\.2:\d+\/reg\//);
  const base = attribute(found.links, "base");
  expect((await coap.get(`${base}/state.txt`)).text()).toBe("closed");
  expect((await coap.put(`${base}/state.txt`, "open")).code).toBe("2.04");
  const states: string[] = [];
  for await (const response of coap.observe(`${base}/state.txt`)) {
    states.push(response.text());
    if (response.text() === "ajar") break;
    if (states.length === 1) await coap.put(`${base}/state.txt`, "ajar");
  }
  expect([states[0], states.at(-1)]).toEqual(["open", "ajar"]);
  const long = "0123456789".repeat(1024);
  expect((await coap.put(`${base}/long.txt`, long)).code).toBe("2.01");
  expect((await coap.get(`${base}/long.txt`)).text()).toBe(long);

  // The registration is its RD's, which every node finds; a node that looks again has it.
  expect((await find(1, `ep=${NAME}`)).links).toHaveLength(1);
  expect((await find(4, `ep=${NAME}`)).maxAgeS).toBeLessThanOrEqual(60);
  expect(await node(4).metrics()).toMatch(/^tributary_global_searches_total\{outcome="cached"\} 1$/m);
});

test("DHT-02 lookups without a whole name are refused, and names that nobody has are found nowhere", async () => {
  for (const [query, kind] of [
    ["", "ep"],
    ["ep=VG*", "ep"],
    ["rt=x", "res"],
  ] as const)
    expect(await find(3, query, kind)).toMatchObject({
      code: "4.00",
      text: "this node finds endpoints by name only: add ep= with the whole name",
    });
  expect(await find(3, "ep=nobody")).toMatchObject({ code: "2.05", links: [] });
});

test("under the name of a key, what has its proof is found, and nothing else", async () => {
  const [proven, unproven] = [generateAnnouncerKey(), generateAnnouncerKey()];
  const announcer = Buffer.from((await node(3).status()).global.key, "base64url");
  const proof = writeProof(proven, { announcer, expiresAtS: Math.floor(Date.now() / 1000) + 3600 });
  const [name, other] = [proven, unproven].map(({ publicKey }) => keyName(publicKey));
  expect((await coap.post(`${node(3).uri}/rd?ep=${other}&proof=${proof}`)).code).toBe("2.01");
  await register(3, [`${name}&proof=${proof}`]);
  expect((await find(5, `ep=${name}`)).links).toHaveLength(1);
  expect(await find(5, `ep=${other}`)).toMatchObject({ code: "2.05", links: [] });
});

test("an endpoint with a key is found by a URI that names the key, wherever it registers, and others cannot claim it", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "state.txt"), "closed");
  const key = join(folder, "endpoint.pem");
  const args = ["register", "--proxy", "--at", node(3).tcpUri, "--key", key, "--serve", folder];
  const before = (await node(3).status()).global.announced;
  const endpoint = startProcess(PINNED_NODE, [TRIBUTARY, ...args]);
  ends.push(() => endpoint.stop());
  await vi.waitFor(async () => expect((await node(3).status()).global.announced).toBe(before + 1), WAIT);
  const { publicKey } = await loadAnnouncerKey(key);
  const uri = `oscore://${keyName(publicKey)}/state.txt`;

  // It shows the proof, but that is for another RD.
  const [stolen] = (await find(3, `ep=${keyName(publicKey)}`)).links;
  const proof = stolen?.attributes.find(([name]) => name === "proof")?.[1] ?? "";
  expect((await coap.post(`${node(4).uri}/rd?ep=${keyName(publicKey)}&proof=${proof}`)).code).toBe("2.01");

  const { status, stdout, stderr } = await runTributary(["resolve", uri, "--at", node(5).uri]);
  expect([status, stderr]).toEqual([0, ""]);
  const [first = "", ...others] = stdout.trim().split("\n");
  expect(first).toMatch(/^coap:\/\/127\.0\.1\.4:\d+\/state\.txt$/);
  expect(others).toEqual([expect.stringMatching(/^coap\+tcp:\/\/127\.0\.1\.4:\d+\/state\.txt$/)]);
  for (const one of [first, ...others]) expect((await coap.get(one)).text()).toBe("closed");

  const json = await runTributary(["resolve", uri, "--at", node(5).uri, "--json"]);
  expect(JSON.parse(json.stdout)).toEqual({ uris: [first, ...others], unusable: [], registrations: 1 });
  const nobody = await runTributary(["resolve", "oscore://nobody/x", "--at", node(5).uri]);
  expect(nobody).toMatchObject({ status: 1, stdout: "" });
  expect(nobody.stderr).toContain(`nobody is registered as "nobody" at ${node(5).uri}, or in its pool`);
});

test("one who announces every name and answers nonsense is asked last from then on", async () => {
  const names = Array.from({ length: 30 }, (_, index) => `honest${index}`);
  await register(3, names);
  const poisoner = await startPoisoner(names, { ports, ends });
  const asked: number[] = [];
  for (const name of names) {
    expect(await find(5, `ep=${name}`)).toMatchObject({ code: "2.05", links: [{}] });
    asked.push(poisoner.requests());
  }
  expect(asked.at(-1)).toBeGreaterThan(0);
  // Of 30 lookups, the first ones are its only chance.
  expect(asked.at(-1)).toBeLessThanOrEqual(3);
});

test("DHT-03 a node that leaves says that its names are void; those of one that is killed are not found within 2 s", async () => {
  await register(0, ["here"]);
  await register(2, ["leaves"]);
  expect((await find(5, "ep=leaves")).links).toHaveLength(1);
  await node(2).stop();
  const left = await find(0, "ep=leaves");
  expect(left).toMatchObject({ code: "5.04" });
  expect(left.tookMs).toBeLessThan(2000);
  await node(1).kill("SIGKILL");
  const killed = await find(0, `ep=${NAME}`);
  expect(killed).toMatchObject({ code: "5.04", text: "none of 1 that announced the name gave its registration" });
  expect(killed.tookMs).toBeLessThan(2000);
  // What was found before is still given, for as long as the RD said.
  expect((await find(4, `ep=${NAME}`)).links).toHaveLength(1);
});

test("without the pool, names that are registered here are found, and others are not", async () => {
  await Promise.all(nodes.slice(1).map((one) => one.kill("SIGKILL")));
  expect((await find(0, "ep=here")).links).toHaveLength(1);
  expect(await find(0, "ep=elsewhere")).toMatchObject({ code: "5.04" });
});
