import {
  type ClientResponse,
  CODE,
  CONTENT_FORMAT,
  createCoapEndpoint,
  METHOD,
  OPTION,
} from "@tributary/coap-transport";
import { createRawPeer } from "@tributary/coap-transport/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { openVirtualNode, settled, watchedWorld } from "./virtual-node.ts";

const NODE = { address: "2001:db8::1", port: 5683 };
const URI = `coap://[${NODE.address}]`;
const SECOND_MS = 1000;

/** A node with tight limits, and clients of it. */
async function openBounded(limits: Record<string, number>, more: object = {}) {
  const world = watchedWorld();
  const config = JSON.stringify({
    listen: [URI],
    http: false,
    registration: {},
    amplification: { trusted: ["any"] },
    limits,
    ...more,
  });
  const node = await openVirtualNode(world, { config, clientAddress: "2001:db8::1c" });
  const client = createCoapEndpoint({ socket: world.network.open("2001:db8::7", 5683), env: world.env });
  onTestFinished(async () => {
    await settled(world, client.close());
    await settled(world, node.close());
    world.assertNoErrors();
  });
  const register = (ep: string, links = "</a>;rt=t", lt = 60) => {
    const request = {
      method: METHOD.POST,
      uri: `${URI}/rd`,
      query: [`ep=${ep}`, "base=coap://h", `lt=${lt}`],
      contentFormat: CONTENT_FORMAT.LINK_FORMAT,
      payload: Buffer.from(links),
    };
    return settled(world, client.request(request));
  };
  const get = (path: string, query: readonly string[] = []) =>
    settled(world, client.request({ method: METHOD.GET, uri: `${URI}${path}`, query }));
  const rejected = (cause: string) => node.counters.rejected().get(cause) ?? 0;
  const peer = (port: number) => createRawPeer(world.network.open("2001:db8::8", port), NODE);
  /** A peer in a network of its own: places are shared among those. */
  const stranger = (index: number) => createRawPeer(world.network.open(`2001:db8:${index}::8`, 5683), NODE);
  return { world, clock: world.clock, node, client, register, get, rejected, peer, stranger };
}

const codeAndAge = ({ code, options }: ClientResponse) => [
  code,
  options.some(({ number }) => number === OPTION.MAX_AGE),
];

describe("SEC-12 a bound that is reached is logged, counted, and over when there is room again", () => {
  test("limits.registrations: 5.03 with Max-Age, until one has ended", async () => {
    const { register, rejected, clock, node, get } = await openBounded({ registrations: 3 });
    for (const ep of ["a", "b", "c"]) expect((await register(ep)).code).toBe(CODE.CREATED);
    expect(codeAndAge(await register("d"))).toEqual([CODE.UNAVAILABLE, true]);
    expect((await register("a")).code).toBe(CODE.CREATED);
    expect(rejected("full")).toBe(1);
    await clock.advance(130 * SECOND_MS);
    expect((await register("d")).code).toBe(CODE.CREATED);
    expect(node.directory.counts().visible).toBe(1);
    expect((await get("/rd-lookup/ep")).code).toBe(CODE.CONTENT);
  });

  test("limits.registration-bytes: 4.13, also for what comes in blocks; the next one is taken", async () => {
    const { register, node } = await openBounded({ "registration-bytes": 2000 });
    const links = (count: number) => Array.from({ length: count }, (_, index) => `</sensor/${index}>`).join(",");
    expect((await register("a", links(200))).code).toBe(CODE.REQUEST_ENTITY_TOO_LARGE);
    expect((await register("a", links(5000))).code).toBe(CODE.REQUEST_ENTITY_TOO_LARGE);
    expect((await register("a", links(100))).code).toBe(CODE.CREATED);
    expect(node.tableSizes()).toMatchObject({ live: 1, uploads: 0 });
  });

  test("limits.observers: answered without Observe, until an observer leaves", async () => {
    const { peer, clock, rejected, node } = await openBounded({ observers: 2 });
    const peers = [1, 2, 3].map(peer);
    const observe = [{ number: OPTION.OBSERVE, value: new Uint8Array(0) }];
    const ask = async (index: number, options = observe) => {
      peers[index]?.send({ path: "/rd-lookup/ep", token: [index], options });
      await clock.advance(5);
      return peers[index]?.take().options.some(({ number }) => number === OPTION.OBSERVE);
    };
    expect([await ask(0), await ask(1), await ask(2)]).toEqual([true, true, false]);
    expect(rejected("observer-limit")).toBe(1);
    expect(node.tableSizes().observers).toBe(2);
    await ask(0, [{ number: OPTION.OBSERVE, value: Uint8Array.of(1) }]);
    expect(await ask(2)).toBe(true);
  });

  test("limits.exchanges: 5.03 with Max-Age while as many requests wait, and served afterwards", async () => {
    const { stranger, clock, rejected, node, get } = await openBounded({ exchanges: 4 });
    // Simple registrations of endpoints that say nothing take 15 s each.
    const silent = [1, 2, 3, 4].map(stranger);
    for (const [index, one] of silent.entries())
      one.send({ code: METHOD.POST, path: "/.well-known/rd", query: [`ep=silent${index}`] });
    await clock.advance(SECOND_MS);
    expect(node.tableSizes()).toMatchObject({ handlers: 4, "simple-fetches": 4 });
    expect(codeAndAge(await get("/rd-lookup/ep"))).toEqual([CODE.UNAVAILABLE, true]);
    expect(rejected("overload")).toBe(1);
    await clock.advance(20 * SECOND_MS);
    expect((await get("/rd-lookup/ep")).code).toBe(CODE.CONTENT);
    expect(rejected("endpoint-silent")).toBe(4);
    await clock.advance(120 * SECOND_MS);
    expect(node.tableSizes()).toMatchObject({ handlers: 0, "simple-fetches": 0, unacknowledged: 0, timers: 0 });
  });

  test("slow answers to peers that never acknowledge are repeated for no more than limits.exchanges at once", async () => {
    const { peer, clock, node } = await openBounded({ exchanges: 4 });
    let most = 0;
    for (let wave = 0; wave < 5; wave++) {
      for (let port = 1; port <= 4; port++) {
        const one = peer(wave * 10 + port);
        one.send({ code: METHOD.POST, path: "/.well-known/rd", query: [`ep=silent${wave}${port}`] });
      }
      await clock.advance(16 * SECOND_MS);
      most = Math.max(most, node.tableSizes().unacknowledged ?? 0);
    }
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(4);
  });

  test("limits.transfers: the oldest upload is given up with 4.08, the newest goes on", async () => {
    const { peer, clock, node } = await openBounded({ transfers: 2 });
    const peers = [1, 2, 3].map(peer);
    const send = async (index: number, block: number, payload: string) => {
      const options = [{ number: OPTION.BLOCK1, value: Uint8Array.of(block) }];
      const query = [`ep=u${index}`, "base=coap://h"];
      peers[index]?.send({ code: METHOD.POST, path: "/rd", query, options, payload });
      await clock.advance(5);
      return peers[index]?.take().code;
    };
    const first = "</aaaaaaaaaaaa>,";
    for (const index of [0, 1, 2]) expect(await send(index, 0x08, first)).toBe(CODE.CONTINUE);
    expect(node.tableSizes().uploads).toBe(2);
    expect(await send(0, 0x10, "</b>")).toBe(CODE.REQUEST_ENTITY_INCOMPLETE);
    expect(await send(2, 0x10, "</b>")).toBe(CODE.CREATED);
    await clock.advance(300 * SECOND_MS);
    expect(node.tableSizes().uploads).toBe(0);
  });

  test("a stranger who asks for all there is leaves no body behind, and causes no more work than for 64 KiB", async () => {
    const { register, peer, clock, node, rejected } = await openBounded(
      {},
      { amplification: { trusted: ["2001:db8::7/128"] } },
    );
    const links = Array.from({ length: 500 }, (_, index) => `</sensor/${index}>;rt="a-rather-long-resource-type"`).join(
      ",",
    );
    for (let index = 0; index < 10; index++) expect((await register(`big${index}`, links)).code).toBe(CODE.CREATED);
    const stranger = peer(1);
    for (const query of [["ep=big1"], [], ["rt=a*"]]) {
      stranger.send({ path: "/rd-lookup/res", query });
      await clock.advance(5);
      const answer = stranger.take();
      expect([answer.code, answer.payload.length]).toEqual([CODE.UNAUTHORIZED, 0]);
      expect(answer.options.map(({ number }) => number)).toEqual([OPTION.ECHO]);
    }
    expect(node.tableSizes()).toMatchObject({ "retained-bodies": 0, "verified-peers": 0 });
    expect(rejected("unverified")).toBeGreaterThan(0);
  });

  test("a flood from many addresses leaves no more peers and messages remembered than there is room for", async () => {
    const { world, clock, node, get } = await openBounded({});
    const before = node.tableSizes().peers ?? 0;
    for (let host = 0; host < 3000; host++) {
      const socket = world.network.open(`2001:db8:66::${host.toString(16)}`, 5683);
      socket.send(Buffer.from("40010001b16e", "hex"), NODE);
      if (host % 100 === 0) await clock.advance(2);
      socket.close();
    }
    await clock.advance(10);
    const { peers = 0, deduplication = 0 } = node.tableSizes();
    expect(peers).toBeGreaterThan(before);
    expect(peers).toBeLessThanOrEqual(16_384);
    expect(deduplication).toBeLessThanOrEqual(65_536);
    expect((await get("/rd-lookup/ep")).code).toBe(CODE.CONTENT);
  });
});
