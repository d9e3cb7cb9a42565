import { createCoapEndpoint } from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { createDirectory, SharedLimit } from "@tributary/merge-engine";
import { silentLogger } from "@tributary/runtime";
import { expect, test } from "vitest";
import { DEFAULTS } from "../testing/following.js";
import { PLAIN_RD_URI, PlainRd } from "../testing/plain-rd.js";
import { createAutoUpstream } from "./auto-upstream.js";

const COUNT = 10;

/** An RD in mode auto at which all lookups become a family, and where `bytes` are free for it. */
async function followFamily(bytes: number) {
  const said: string[] = [];
  const info = (message: string) => {
    if (message.startsWith("family")) said.push(message);
  };
  const world = createVirtualWorld({ logger: { ...silentLogger, info } });
  const rd = new PlainRd(world, { observe: "ignored" });
  const links = Array.from({ length: 30 }, (_, at) => `/x${at}>;title="${at}${"t".repeat(40)}"`);
  for (let at = 0; at < COUNT; at++) rd.register(`e${at}`, { links });
  const memory = new SharedLimit(2_000_000);
  memory.add("others", 2_000_000 - bytes);
  const directory = createDirectory({ memory });
  const client = createCoapEndpoint({ socket: world.network.open("2001:db8::1", 5683), env: world.env });
  const upstream = createAutoUpstream(
    { client, directory, env: world.env, nodeId: "me", isConfigured: () => false },
    { ...DEFAULTS, mode: "forward", uri: PLAIN_RD_URI },
    { threshold: 2, windowMs: 60_000, budget: 1000, families: 4, coldMs: 600_000 },
  );
  upstream.start();
  await world.clock.runUntil(() => upstream.status().phase === "live", 60_000);
  const ask = async (item: string) => {
    const answer = upstream.ask("ep", [item], {});
    await world.clock.advance(2000);
    const result = await answer;
    return "links" in result ? result.links.length : -1;
  };
  for (let at = 0; at < 6; at++) {
    upstream.noteLookup([{ name: "ep", value: `e${at}`, isPrefix: false }]);
    expect(await ask(`ep=e${at}`)).toBe(1);
  }
  await world.clock.advance(60_000);
  return { upstream, directory, memory, ask, said };
}

test("a family with room is replicated", async () => {
  const { upstream } = await followFamily(1_900_000);
  expect(upstream.status().families).toMatchObject([{ phase: "live", isComplete: true, registrations: COUNT }]);
});

test("a family without room is given up as a whole; its lookups are asked, and miss nothing", async () => {
  const { upstream, memory, directory, ask, said } = await followFamily(60_000);
  expect(said[0]).toBe("family of lookups is replicated");
  expect(upstream.status().families).toEqual([]);
  expect(upstream.status().coverage).toEqual([]);
  expect(upstream.status().leftOut).toEqual(new Map());
  expect(directory.counts().total).toBe(0);
  expect(memory.used(DEFAULTS.name)).toBe(0);
  expect(await ask("ep=e9")).toBe(1);
});
