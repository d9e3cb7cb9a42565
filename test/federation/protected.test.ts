import { cpSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CODE, type CoapClient, METHOD } from "@tributary/coap-transport";
import { type RunningNode, startNode } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { expect, test } from "vitest";
import { CountingRelay } from "../harness/counting-relay.js";
import { startTestNode } from "../harness/nodes.js";
import { openContextClient, writeContextPair } from "../harness/oscore-contexts.js";
import { MODES } from "../modes/promises.js";
import { eventually, temporaryFolder } from "../peers/peers.js";

/** Folders of an RD, of an LP and of a device, with a context between the RD and each of the others. */
function contextFolders() {
  const root = temporaryFolder();
  const [rd, lp, device] = ["rd", "lp", "device"].map((name) => join(root, name)) as [string, string, string];
  writeContextPair(join(rd, "lp"), join(lp, "rd"));
  writeContextPair(join(rd, "lamp-7"), join(device, "rd"));
  return { rd, lp, device };
}

const rdConfig = (contexts: string) => ({
  ...{ name: "rd", http: false, registration: {}, oscore: { contexts } },
  listen: ["coap://[::1]:0", "coap+tcp://[::1]:0"],
});

const uriOf = (node: RunningNode, scheme: string): string =>
  node.uris.find((uri) => uri.startsWith(`${scheme}://`)) ?? expect.fail(`no ${scheme} in ${node.uris}`);

async function register(client: CoapClient, uri: string, ep: string): Promise<number> {
  const query = [`ep=${ep}`, "d=hall", `base=coap://${ep}.example`];
  const payload = Buffer.from('</l>;rt="light"');
  const request = { method: METHOD.POST, uri: `${uri}/rd`, query, contentFormat: 40, payload, context: "rd" };
  return (await client.request(request)).code;
}

async function shown(client: CoapClient, lp: RunningNode): Promise<string> {
  const uri = `${uriOf(lp, "coap")}/rd-lookup/res?d=hall`;
  return Buffer.from((await client.request({ method: METHOD.GET, uri })).payload).toString();
}

test.each(MODES.flatMap((mode) => (["coap", "coap+tcp"] as const).map((scheme) => ({ mode, scheme }))))(
  "mode $mode over $scheme: all that an LP asks an RD is protected, and what is registered is shown",
  async ({ mode, scheme }) => {
    const folders = contextFolders();
    const rd = await startTestNode(rdConfig(folders.rd));
    const { client } = await openContextClient(folders.device);
    expect(await register(client, uriOf(rd, "coap"), "lamp1")).toBe(CODE.CREATED);
    const relay = scheme === "coap" ? await CountingRelay.open(uriOf(rd, "coap")) : null;
    const settings = mode === "filters" ? { filters: ["d=hall"] } : { mode };
    const upstream = { name: "rd", uri: relay?.uri ?? uriOf(rd, scheme), oscore: "rd", ...settings };
    const lp = await startTestNode({
      ...{ name: "lp", listen: ["coap://[::1]:0"], oscore: { contexts: folders.lp } },
      lookup: { upstreams: [relay === null ? upstream : { ...upstream, transport: "udp" }], cache: { entries: 0 } },
    });
    const first = '<coap://lamp1.example/l>;rt="light"';
    await eventually(async () => (await shown(client, lp)) === first, { what: "lamp1" });
    await register(client, uriOf(rd, "coap"), "lamp2");
    await eventually(async () => (await shown(client, lp)).includes("coap://lamp2.example/l"), { what: "lamp2" });
    if (relay === null) return;
    expect(relay.requests.length).toBeGreaterThan(0);
    // Outside there is no path, and a method that says nothing (RFC 8613 section 4.2).
    expect([...new Set(relay.requests.map(({ target }) => target))]).toEqual(["/"]);
    expect(relay.requests.every(({ code }) => code === METHOD.POST || code === METHOD.FETCH)).toBe(true);
  },
);

test.each(["coap", "coap+tcp"])(
  "bodies beyond what is encrypted at once, over %s",
  async (scheme) => {
    const folders = contextFolders();
    const rd = await startTestNode({ ...rdConfig(folders.rd), limits: { "registration-bytes": 400_000 } });
    const { client } = await openContextClient(folders.device);
    const title = "so many words ".repeat(20);
    const links = Array.from({ length: 400 }, (_none, index) => `</l/${index}>;rt="light";title="${title}"`).join(",");
    expect(links.length).toBeGreaterThan(100_000);
    const post = { method: METHOD.POST, uri: `${uriOf(rd, scheme)}/rd`, query: ["ep=large"], contentFormat: 40 };
    expect((await client.request({ ...post, payload: Buffer.from(links), context: "rd" })).code).toBe(CODE.CREATED);
    const get = { method: METHOD.GET, uri: `${uriOf(rd, scheme)}/rd-lookup/res`, query: ["ep=large"], context: "rd" };
    const { payload } = await client.request(get);
    expect(payload.length).toBeGreaterThan(links.length);
    expect(
      Buffer.from(payload)
        .toString()
        .match(/rt="light"/g),
    ).toHaveLength(400);
  },
  30_000,
);

test("an RD without contexts, or with another key, is not followed, and nothing is asked without protection", async () => {
  const folders = contextFolders();
  const others = contextFolders();
  for (const config of [{ ...rdConfig(folders.rd), oscore: undefined }, rdConfig(others.rd)]) {
    const rd = await startTestNode(JSON.parse(JSON.stringify(config)));
    const query = ["ep=lamp1", "base=coap://lamp1.example"];
    const { client } = await openContextClient(contextFolders().device);
    await client.request({ method: METHOD.POST, uri: `${uriOf(rd, "coap")}/rd`, query, contentFormat: 40 });
    const relay = await CountingRelay.open(uriOf(rd, "coap"));
    const lp = await startTestNode({
      ...{ name: "lp", listen: ["coap://[::1]:0"], oscore: { contexts: folders.lp } },
      lookup: { timeout: "500ms", upstreams: [{ name: "rd", uri: relay.uri, oscore: "rd", mode: "forward" }] },
    });
    expect(await shown(client, lp)).not.toContain("lamp1");
    expect(relay.requests.length).toBeGreaterThan(0);
    expect([...new Set(relay.requests.map(({ target }) => target))]).toEqual(["/"]);
    await lp.close();
  }
});

test("a reload reads contexts again: a new one is served, one that is gone is refused, others continue", async () => {
  const folders = contextFolders();
  const rd = await startTestNode(rdConfig(folders.rd));
  const lamp = await openContextClient(folders.device);
  expect(await register(lamp.client, uriOf(rd, "coap"), "lamp1")).toBe(CODE.CREATED);
  const switches = join(temporaryFolder(), "switch");
  writeContextPair(join(folders.rd, "switch"), join(switches, "rd"));
  const { client } = await openContextClient(switches);
  await expect(register(client, uriOf(rd, "coap"), "switch")).rejects.toThrow("Security context not found");
  await rd.reload(rdConfig(folders.rd) as never);
  expect(await register(client, uriOf(rd, "coap"), "switch")).toBe(CODE.CREATED);
  expect(await register(lamp.client, uriOf(rd, "coap"), "lamp1")).toBe(CODE.CREATED);
});

test.each(["replicate", "forward"])(
  "mode %s: keys are renewed on both sides, and the LP goes on at once",
  async (mode) => {
    const folders = contextFolders();
    const rd = await startTestNode(rdConfig(folders.rd));
    const { client } = await openContextClient(folders.device);
    await register(client, uriOf(rd, "coap"), "lamp1");
    const config = {
      ...{ name: "lp", http: false, listen: ["coap://[::1]:0"], oscore: { contexts: folders.lp } },
      lookup: { upstreams: [{ name: "rd", uri: uriOf(rd, "coap"), oscore: "rd", mode }], cache: { entries: 0 } },
    };
    const lp = await startTestNode(config);
    await eventually(async () => (await shown(client, lp)).includes("lamp1"), { what: "lamp1" });
    for (let round = 1; round <= 3; round++) {
      writeContextPair(join(folders.rd, "lp"), join(folders.lp, "rd"));
      await rd.reload(rdConfig(folders.rd) as never);
      expect((await lp.reload(config as never)).changed).toEqual(["rd"]);
      await register(client, uriOf(rd, "coap"), `renewed${round}`);
      await eventually(async () => (await shown(client, lp)).includes(`renewed${round}`), { what: `renewed${round}` });
      expect(await shown(client, lp)).toContain("lamp1");
    }
    // The same files again are no change.
    expect((await lp.reload(config as never)).kept).toEqual(["rd"]);
  },
  30_000,
);

test("what was received before a restart is refused after it", async () => {
  const folders = contextFolders();
  const sequence = () => readFileSync(join(folders.rd, "lamp-7/sequence.json"), "utf8");
  const lamp = await openContextClient(folders.device);
  const rd = await startNode(rdConfig(folders.rd) as never, { logger: silentLogger });
  await register(lamp.client, uriOf(rd, "coap"), "lamp1");
  await lamp.close();
  expect(sequence()).toContain('"unknown"');
  await rd.close();
  expect(sequence()).toContain('{"index": 1, "bitfield": 0}');
  // Its messages have the numbers of those that were sent before, as replayed ones do.
  rmSync(join(folders.device, "rd/sequence.json"));
  const again = await startTestNode(rdConfig(folders.rd));
  const { client } = await openContextClient(folders.device);
  await expect(register(client, uriOf(again, "coap"), "lamp1")).rejects.toThrow("Replay detected");
});

test("after a crash a request is taken once its sender has proved that it is fresh", async () => {
  const folders = contextFolders();
  const { client } = await openContextClient(folders.device);
  const rd = await startTestNode(rdConfig(folders.rd));
  await register(client, uriOf(rd, "coap"), "lamp1");
  // What is on disk at this moment is what a crash would leave.
  const left = join(temporaryFolder(), "left");
  cpSync(folders.rd, left, { recursive: true });
  for (const place of [".", "lp", "lamp-7"]) rmSync(join(left, place, "owner"));
  const after = await startTestNode(rdConfig(left));
  const relay = await CountingRelay.open(uriOf(after, "coap"));
  expect(await register(client, relay.uri, "lamp1")).toBe(CODE.CREATED);
  expect(await register(client, relay.uri, "lamp2")).toBe(CODE.CREATED);
  // One for the proof (RFC 8613 appendix B.1.2), and one for each registration.
  expect(relay.requests).toHaveLength(3);
});
