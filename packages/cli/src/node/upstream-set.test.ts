import { CODE, CONTENT_FORMAT, createCoapEndpoint } from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { createDirectory } from "@tributary/merge-engine";
import { expect, test } from "vitest";
import { FOREIGN_URI, ForeignRd } from "../../../upstream-sync/src/testing/foreign-rd.js";
import { checkConfig } from "../config/check-config.js";
import type { UpstreamConfig } from "../config/types.js";
import { UpstreamSet } from "./upstream-set.js";

function upstreamsOf(configuration: string): readonly UpstreamConfig[] {
  const checked = checkConfig(`lookup: { upstreams: [${configuration}] }`, "test.yaml");
  if (!checked.ok) throw new Error(checked.errors[0]?.message);
  return checked.config.lookup?.upstreams ?? [];
}

test("what an upstream was found to reject stays counted when it is followed no more", async () => {
  const world = createVirtualWorld();
  const unreadable = { code: CODE.CONTENT, contentFormat: CONTENT_FORMAT.LINK_FORMAT, payload: Buffer.from("<") };
  new ForeignRd(world, { answer: () => unreadable });
  const client = createCoapEndpoint({ socket: world.network.open("2001:db8::1", 5683), env: world.env });
  const auto = { threshold: 3, windowMs: 60_000, coldMs: 30_000, budget: 1000, families: 4 };
  const deps = { client, directory: createDirectory(), env: world.env, nodeId: "me", auto, onCoverageChange() {} };
  const set = new UpstreamSet(deps);
  const count = () => set.rejected().get("upstream-malformed") ?? 0;
  await set.follow(upstreamsOf(`"${FOREIGN_URI}"`));
  await world.clock.runUntil(() => count() >= 2, 300_000);
  const before = count();
  expect(before).toBeGreaterThanOrEqual(2);
  await set.follow(upstreamsOf(`{ uri: "${FOREIGN_URI}", timeout: 1s }`));
  expect(set.list()).toHaveLength(1);
  expect(count()).toBe(before);
  await set.follow([]);
  expect(count()).toBe(before);
});
