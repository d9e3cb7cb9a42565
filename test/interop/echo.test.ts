import { expect, test } from "vitest";
import { openNode, openTestClient } from "../harness/nodes.js";
import { aiocoapClient, coapClient, describeWithPeers, eventually } from "../peers/peers.js";

/** Loopback is trusted by default. */
const STRICT = "amplification: { trusted: [] }";
const LINKS = Array.from({ length: 60 }, (_, index) => `</sensors/${index}>;rt="ex.sensor"`).join(",");

async function openDirectory(configuration: string) {
  const node = await openNode(`registration: {}\n${configuration}`);
  const client = await openTestClient();
  await client.register(node.uri, ["ep=big", "base=coap://h"], LINKS);
  return node;
}

describeWithPeers(["libcoap", "aiocoap"], "Echo with programs that were not written for this", () => {
  test("SEC-07 as configured by default, neither libcoap nor aiocoap on this machine is asked for anything", async () => {
    const node = await openDirectory("");
    const uri = `${node.uri}/rd-lookup/res?ep=big`;
    expect((await coapClient(["-m", "get", uri])).stdout.match(/sensors/g)).toHaveLength(60);
    expect((await aiocoapClient(["-m", "GET", uri])).stdout.match(/sensors/g)).toHaveLength(60);
    expect(node.counters.rejected().get("unverified")).toBeUndefined();
  });

  test("SEC-08 libcoap answers the challenge of a node that trusts nobody", async () => {
    const node = await openDirectory(STRICT);
    const { stdout, stderr } = await coapClient(["-m", "get", `${node.uri}/rd-lookup/res?ep=big`]);
    expect([stdout.match(/sensors/g)?.length, stderr]).toEqual([60, ""]);
  });

  test("SEC-07 aiocoap does not, and gets 4.01", async () => {
    const node = await openDirectory(STRICT);
    const uri = `${node.uri}/rd-lookup/res?ep=big`;
    const refused = await aiocoapClient(["-m", "GET", uri]);
    expect(refused.stdout + refused.stderr).toMatch(/4\.01/);
  });
});

test("LPX-17 a proxy follows an RD that trusts nobody, by feed, and its clients find what changes there", async () => {
  const rd = await openNode(`registration: {}\n${STRICT}`);
  const client = await openTestClient();
  const links = await client.register(rd.uri, ["ep=first", "base=coap://h"], LINKS);
  expect(links).toBeDefined();
  const proxy = await openNode(`lookup: { upstreams: ["${rd.uri}"] }`);
  await eventually(() => proxy.upstreams()[0]?.phase === "live", { what: "the proxy to be live" });
  expect(proxy.upstreams()[0]?.method).toBe("feed");
  await client.register(rd.uri, ["ep=second", "base=coap://h"], LINKS);
  await eventually(async () => (await client.links(`${proxy.uri}/rd-lookup/ep`)).length === 2, { what: "both" });
  expect(rd.counters.rejected().get("unverified")).toBeGreaterThan(0);
});
