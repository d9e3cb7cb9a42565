import { CODE, CONTENT_FORMAT, createCoapEndpoint } from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { parseLookupQuery } from "@tributary/link-model";
import type { LookupContext } from "@tributary/lookup-interface";
import { createFederatedLookup, ResponseCache } from "@tributary/lookup-server";
import { createDirectory } from "@tributary/merge-engine";
import { PLAIN_RD_URI, PlainRd } from "@tributary/upstream-sync/testing";
import { expect, test } from "vitest";
import { checkConfig } from "../configuration/check-configuration.js";
import type { UpstreamConfig } from "../configuration/types.js";
import { UpstreamSet } from "./upstream-set.js";

function upstreamsOf(configuration: string): readonly UpstreamConfig[] {
  const checked = checkConfig(`lookup: { upstreams: [${configuration}] }`, "test.yaml");
  if (!checked.ok) throw new Error(checked.errors[0]?.message);
  return checked.config.lookup?.upstreams ?? [];
}

test("what an upstream was found to reject stays counted when it is followed no more", async () => {
  const world = createVirtualWorld();
  const unreadable = { code: CODE.CONTENT, contentFormat: CONTENT_FORMAT.LINK_FORMAT, payload: Buffer.from("<") };
  new PlainRd(world, { answer: () => unreadable });
  const client = createCoapEndpoint({ socket: world.network.open("2001:db8::1", 5683), env: world.env });
  const auto = { threshold: 3, windowMs: 60_000, coldMs: 30_000, budget: 1000, families: 4 };
  const deps = { client, directory: createDirectory(), env: world.env, nodeId: "me", auto, onCoverageChange() {} };
  const set = new UpstreamSet(deps);
  const count = () => set.rejected().get("upstream-malformed") ?? 0;
  await set.follow(upstreamsOf(`"${PLAIN_RD_URI}"`));
  await world.clock.runUntil(() => count() >= 2, 300_000);
  const before = count();
  expect(before).toBeGreaterThanOrEqual(2);
  await set.follow(upstreamsOf(`{ uri: "${PLAIN_RD_URI}", timeout: 1s }`));
  expect(set.list()).toHaveLength(1);
  expect(count()).toBe(before);
  await set.follow([]);
  expect(count()).toBe(before);
});

const LP_DEFAULTS = `uri: "${PLAIN_RD_URI}", name: rd`;
const SETTINGS = {
  "the deadline": ["timeout: 2s", "timeout: 3s"],
  "the mode": ["mode: replicate", "mode: forward", "mode: auto"],
  "the filters": ["mode: replicate", 'filters: ["ep=n1*"]', 'filters: ["ep=n*"]'],
  "everything at once": ["timeout: 1s", "mode: forward", 'filters: ["ep=n1*"]', "mode: auto", "poll: 5s"],
};

test.each(Object.entries(SETTINGS))(
  "reloads that change %s, one after the other in every phase: no lookup misses a registration",
  async (_, settings) => {
    const COUNT = 24;
    const world = createVirtualWorld();
    const rd = new PlainRd(world, {});
    for (let index = 0; index < COUNT; index++) rd.register(`n${index}`);
    const client = createCoapEndpoint({ socket: world.network.open("2001:db8::1", 5683), env: world.env });
    const auto = { threshold: 3, windowMs: 60_000, coldMs: 30_000, budget: 1000, families: 4 };
    const directory = createDirectory();
    const deps = { client, directory, env: world.env, nodeId: "me", auto, onCoverageChange() {} };
    const set = new UpstreamSet(deps);
    const cacheOptions = { concurrency: 8, entries: 0, bytes: 65_536, staleMs: 0, observeAfter: 0, observations: 0 };
    const lookup = createFederatedLookup(
      { directory, upstreams: () => set.list(), env: world.env, cache: new ResponseCache(world, cacheOptions) },
      { timeoutMs: 2000, onPartial: "serve" },
    );
    const shown = async (): Promise<number | string> => {
      const parsed = parseLookupQuery([]);
      if (!parsed.ok) throw new Error(parsed.message);
      const request = { peer: { address: "192.0.2.1" } } as LookupContext["request"];
      let answer: Awaited<ReturnType<typeof lookup>> | undefined;
      void Promise.resolve(lookup({ kind: "ep", items: [], query: parsed.query, scope: "everywhere", request })).then(
        (one) => {
          answer = one;
        },
      );
      await world.clock.runUntil(() => answer !== undefined, 10_000);
      if (answer === undefined) return "no answer";
      return "links" in answer ? [...answer.links].length : answer.message;
    };
    await set.follow(upstreamsOf(`{ ${LP_DEFAULTS}, ${settings[0]} }`));
    await world.clock.runUntil(() => set.list()[0]?.status().phase === "live", 60_000);
    const wrong: (number | string)[] = [];
    for (let round = 0; round < 120; round++) {
      const setting = settings[(round + 1) % settings.length];
      void set.follow(upstreamsOf(`{ ${LP_DEFAULTS}, ${setting} }`));
      const count = await shown();
      if (count !== COUNT) wrong.push(`${round} ${setting}: ${count}`);
      await world.clock.advance(Math.round(world.random() ** 3 * 300));
    }
    expect(wrong).toEqual([]);
  },
);
