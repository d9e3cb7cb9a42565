import { expect, test } from "vitest";
import { CODE, METHOD } from "../message/codes.js";
import { pattern } from "../testing/block-requests.js";
import { createRawPeer } from "../testing/raw-peer.js";
import { createVirtualWorld } from "../testing/virtual-world.js";
import type { RequestHandler } from "../types.js";
import { createCoapEndpoint } from "../udp/endpoint.js";

const LARGE = 20;
/** Time that the handler takes for a large request, ms. */
const TAKES_MS = 3;

/** Large requests of as many clients arrive at one moment, and then a small one. Returns who was handled, in order. */
async function handleAll(fail = false) {
  const world = createVirtualWorld();
  const { clock } = world;
  let spentMs = 0;
  const busyClock = { ...clock, nowMs: () => clock.nowMs() + spentMs };
  const handled: string[] = [];
  const handler: RequestHandler = ({ payload, path }) => {
    if (payload.length > 1000) spentMs += TAKES_MS;
    handled.push(path.join("/"));
    if (fail) throw new Error("a mistake");
    return { code: CODE.CHANGED };
  };
  const socket = world.network.open("2001:db8::1", 5683);
  const limits = { maxRequestBytes: 20_000 };
  createCoapEndpoint({ socket, env: { ...world.env, clock: busyClock } }, { handler, limits });
  const peers = Array.from({ length: LARGE + 1 }, (_, at) =>
    createRawPeer(world.network.open(`2001:db8:${at + 1}::2`, 40_000), { address: "2001:db8::1", port: 5683 }),
  );
  for (const [at, peer] of peers.entries()) {
    const isLarge = at < LARGE;
    peer.send({
      code: METHOD.POST,
      token: [1],
      path: isLarge ? `/large-${at}` : "/small",
      payload: pattern(isLarge ? 9000 : 10),
    });
  }
  await clock.advance(1000);
  const codes = peers.flatMap(({ inbox }) => inbox.map(({ code }) => code).filter((code) => code !== 0));
  return { handled, codes };
}

test("large requests that arrive together leave time for a small one that comes after them", async () => {
  const { handled, codes } = await handleAll();
  expect(handled).toHaveLength(LARGE + 1);
  expect(handled.indexOf("small")).toBeLessThan(5);
  expect(codes).toEqual(Array.from({ length: LARGE + 1 }, () => CODE.CHANGED));
});

test("a handler that fails in a later turn is a server error as in the first one", async () => {
  const { codes } = await handleAll(true);
  expect(codes).toEqual(Array.from({ length: LARGE + 1 }, () => CODE.INTERNAL));
});
