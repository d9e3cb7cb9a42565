import { CODE, type CoapEndpoint, createCoapEndpoint, formatCode, METHOD } from "@tributary/coap-transport";
import { expect, onTestFinished, test } from "vitest";
import { openVirtualNode, settled, type VirtualNode, watchedWorld } from "../hostile/virtual-node.ts";

const RD = "2001:db8:23::3";
const LP = "2001:db8:4::4";

/** RD-C alone and LP-Z alone, each forwarding to the other what it does not do itself (draft 6.2.2). */
async function openPair({ mode = "replicate", replicas = '["any"]' } = {}) {
  const world = watchedWorld();
  const settings = (name: string, address: string) =>
    `name: ${name}\nlisten: ["coap://[${address}]"]\nhttp: false\namplification: { trusted: ["any"] }\n`;
  const rd = await openVirtualNode(world, {
    config: `${settings("rd-c", RD)}registration: { replicas: ${replicas} }
anycast: { peers: [{ name: lp-z, uri: "coap://[${LP}]", registration: false }] }`,
    clientAddress: RD,
  });
  const lp = await openVirtualNode(world, {
    config: `${settings("lp-z", LP)}lookup: { upstreams: [{ name: rd-c, uri: "coap://[${RD}]", mode: ${mode}, poll: 1s }] }
anycast: { peers: [{ name: rd-c, uri: "coap://[${RD}]", lookup: false }] }`,
    clientAddress: LP,
  });
  const client = createCoapEndpoint({ socket: world.network.open("2001:db8:c::1", 40_000), env: world.env });
  onTestFinished(async () => {
    const closing = Promise.all([client.close(), rd.close(), lp.close()]);
    await settled(world, closing);
    world.assertNoErrors();
  });
  await world.clock.runUntil(() => lp.isReady(), 60_000);
  return { world, rd, lp, ask: asker(world, client) };
}

function asker(world: ReturnType<typeof watchedWorld>, client: CoapEndpoint) {
  return async (address: string, method: keyof typeof METHOD, path: string, payload = "") => {
    const request = { method: METHOD[method], uri: `coap://[${address}]${path}`, payload: Buffer.from(payload) };
    const { code, locationPath, payload: body } = await settled(world, client.request(request));
    return { code: formatCode(code), location: `/${locationPath.join("/")}`, text: new TextDecoder().decode(body) };
  };
}

const received = (node: VirtualNode) => node.counters.transport.reduce((sum, counters) => sum + counters.received, 0);
const BASE = 'base="coap://[2001:db8:c::1]:40000"';

test.each([
  { name: "a copy by the feed", pair: { mode: "replicate" }, method: "feed" },
  {
    name: "a copy by lookups, since the feed is refused",
    pair: { mode: "replicate", replicas: '["loopback"]' },
    method: "observe",
  },
  { name: "no copy: the proxy asks the RD, which must not ask it back", pair: { mode: "forward" }, method: "none" },
])("LPX-11 LPX-18 LPX-20 two nodes do each other's work with $name", async ({ pair, method }) => {
  const { world, rd, lp, ask } = await openPair(pair);
  const { code, location } = await ask(LP, "POST", "/rd?ep=a", '</t>;rt="temp"');
  expect(code).toBe("2.01");
  expect(location).toMatch(/^\/reg\/rd-c\//);
  const isShown = async (address: string) => (await ask(address, "GET", "/rd-lookup/ep?ep=a")).text;
  await world.clock.advance(90_000);
  expect(lp.upstreams()[0]?.method).toBe(method);
  const before = { rd: received(rd), lp: received(lp) };
  for (const address of [RD, LP])
    expect(await isShown(address), address).toBe(`<coap://[${RD}]${location}>;ep="a";${BASE};rt="core.rd-ep"`);
  expect(await ask(RD, "GET", "/rd-lookup/res?rt=temp")).toMatchObject({
    code: "2.05",
    text: '<coap://[2001:db8:c::1]:40000/t>;rt="temp"',
  });
  // Three questions, each asked once more of the other at most, and now and then a poll: no loop.
  expect(received(rd) - before.rd).toBeLessThan(12);
  expect(received(lp) - before.lp).toBeLessThan(12);
  // What is registered at the RD itself is its own affair (draft 4.4.2).
  expect((await ask(RD, "GET", "/rd-lookup/ep?href=/*")).text).toContain(`<${location}>`);
  expect((await ask(LP, "DELETE", location)).code).toBe("2.02");
  expect((await ask(RD, "GET", location)).code).toBe("4.04");
  expect(lp.peers?.()[0]).toMatchObject({ name: "rd-c", isUp: true });
});

test("LPX-12 every node advertises registration and lookups as its own, and a pure proxy is no upstream", async () => {
  const { ask } = await openPair();
  for (const address of [RD, LP]) {
    const { text } = await ask(address, "GET", "/.well-known/core?rt=core.rd*");
    expect([...text.matchAll(/<([^>]*)>/g)].map((match) => match[1]).sort()).toEqual([
      "/rd",
      "/rd-lookup/ep",
      "/rd-lookup/res",
    ]);
  }
});

test("registrations of a node without the section keep their paths", async () => {
  const world = watchedWorld();
  const node = await openVirtualNode(world, {
    config: `listen: ["coap://[${RD}]"]\nhttp: false\nregistration: {}\nlookup: {}`,
    clientAddress: RD,
  });
  const client = createCoapEndpoint({ socket: world.network.open("2001:db8:c::1", 40_000), env: world.env });
  const { locationPath } = await settled(world, client.request({ method: METHOD.POST, uri: `coap://[${RD}]/rd?ep=a` }));
  expect(locationPath).toHaveLength(2);
  const other = await settled(world, client.request({ method: METHOD.GET, uri: `coap://[${RD}]/reg/rd-b/1` }));
  expect(other.code).toBe(CODE.NOT_FOUND);
  expect(node.peers?.()).toEqual([]);
  await settled(world, Promise.all([client.close(), node.close()]));
});
