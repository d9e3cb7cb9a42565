import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { expect, test } from "vitest";
import { openVirtualNode } from "../hostile/virtual-node.js";

const RD = "fd00::1";
const LP = "fd00::2";
const COUNT = 2000;

interface FarProxy {
  readonly link?: { readonly loss?: number; readonly jitterMs?: number };
  /** Further settings of the upstream, and of the node. */
  readonly upstream?: string;
  readonly node?: string;
}

/** An RD and a proxy that follows it over UDP, 25 ms apart each way. */
async function openFarFederation({ link = {}, upstream = "", node = "" }: FarProxy) {
  const world = createVirtualWorld({ seed: 7 });
  const rd = await openVirtualNode(world, {
    config: `name: rd\nlisten: ["coap://[${RD}]:5683"]\nhttp: false\nregistration: { replicas: ["fd00::/16"] }\n`,
    clientAddress: "fd00::11",
  });
  let number = 0;
  const register = (count: number) => {
    for (let at = 0; at < count; at++, number++) {
      const renewedAtMs = world.clock.nowMs();
      rd.directory.put(
        "local",
        {
          ...{ href: `/reg/${number}`, ep: `node${number}`, base: `coap://[2001:db8::${number.toString(16)}]` },
          ...{ attributes: [], ltMs: 86_400_000, renewedAtMs, expiresAtMs: renewedAtMs + 86_400_000, expiry: "exact" },
          links: [
            { target: `coap://[2001:db8::${number.toString(16)}]/sensors/temp`, attributes: [["rt", "temperature-c"]] },
            { target: `coap://[2001:db8::${number.toString(16)}]/sensors/light`, attributes: [["rt", "light-lux"]] },
          ],
        },
        renewedAtMs,
      );
    }
  };
  register(COUNT);
  for (const [from, to] of [
    [RD, LP],
    [LP, RD],
  ] as const)
    world.network.setLink(from, to, { delayMs: 25, ...link });
  const lp = await openVirtualNode(world, {
    config: `name: lp\nlisten: ["coap://[fd00::3]:5683"]\nhttp: false\nlookup: { upstreams: [{ name: rd, uri: "coap://[${RD}]"${upstream} }] }\n${node}`,
    clientAddress: LP,
  });
  const untilCopied = async (limitMs: number): Promise<number> => {
    const startMs = world.clock.nowMs();
    const isCopied = () => lp.upstreams()[0]?.phase === "live" && lp.directory.counts("rd").total === number;
    expect(await world.clock.runUntil(isCopied, limitMs), `${lp.directory.counts("rd").total} copied`).toBe(true);
    return world.clock.nowMs() - startMs;
  };
  return { world, rd, lp, register, untilCopied };
}

test.each([
  { name: "a clean path", copyMs: 3000, burstMs: 300 },
  { name: "a clean path, by filters", upstream: `, filters: ["ep=node*"]`, copyMs: 3000, burstMs: 300 },
  {
    name: "a clean path, by filters that overlap",
    upstream: `, filters: ["rt=temperature*", "rt=light*"]`,
    copyMs: 6000,
    burstMs: 600,
  },
  { name: "a clean path, at a proxy that is an RD as well", node: "registration: {}", copyMs: 3000, burstMs: 300 },
  { name: "a path that reorders", link: { jitterMs: 20 }, copyMs: 8000, burstMs: 600 },
  { name: "1 % loss", link: { loss: 0.01 }, copyMs: 6000, burstMs: 1000 },
  { name: "10 % loss and reordering", link: { loss: 0.1, jitterMs: 20 }, copyMs: 30_000, burstMs: 3000 },
] satisfies (FarProxy & { name: string; copyMs: number; burstMs: number })[])(
  "over 50 ms and $name, copies and bursts take round trips, not one for each patch",
  async (far) => {
    const { world, rd, lp, register, untilCopied } = await openFarFederation(far);
    const copyMs = await untilCopied(far.copyMs);
    register(200);
    const burstMs = await untilCopied(far.burstMs);
    process.stderr.write(`${far.name}: copied in ${copyMs} ms, 200 more in ${burstMs} ms\n`);
    const closing = Promise.all([rd.close(), lp.close()]);
    await world.clock.advance(10_000);
    await closing;
  },
);
