import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { describe, expect, test } from "vitest";
import { DEFAULTS, follow } from "../testing/following.js";
import { PLAIN_RD_URI, PlainRd, type Quirks } from "../testing/plain-rd.js";
import type { UpstreamOptions } from "../types.js";

const COUNT = 300;

function setUp(quirks: Quirks = {}, options: Partial<UpstreamOptions> = {}) {
  const world = createVirtualWorld();
  const rd = new PlainRd(world, quirks);
  return { rd, world, follow: () => follow(world, { uri: PLAIN_RD_URI, ...options }) };
}

const targets = (links: readonly { target: string }[] | undefined) => links?.map(({ target }) => target).sort();
const asked = (rd: PlainRd) => rd.requests.filter((request) => /^res\?(href|ep)=/.test(request)).length;

describe("an RD with many registrations", () => {
  test("where every base is another, a sample is asked for instead of all", async () => {
    const { rd, follow } = setUp();
    for (let index = 0; index < COUNT; index++) rd.register(`n${index}`, { links: [`/t${index}>`, "/x>;obs"] });
    rd.register("bare", { links: [] });
    const lp = follow();
    await lp.untilLive();
    expect(lp.upstream.status().capabilities.attribution).toBe("base");
    expect(asked(rd)).toBeLessThan(40);
    for (const index of [0, 17, COUNT - 1])
      expect(targets(lp.held(`n${index}`)?.links)).toEqual([
        `coap://n${index}.example/t${index}`,
        `coap://n${index}.example/x`,
      ]);
    expect(lp.held("bare")?.links).toEqual([]);
    expect(lp.upstream.status().leftOut.size).toBe(0);
  });

  test("those that share a base are asked for, the others are not", async () => {
    const { rd, follow } = setUp();
    for (let index = 0; index < COUNT; index++) rd.register(`n${index}`);
    for (let index = 0; index < 10; index++)
      rd.register(`g${index}`, { base: "coap://gateway.example", links: [`/${index}>`] });
    const lp = follow();
    await lp.untilLive();
    expect(asked(rd)).toBeLessThan(50);
    for (let index = 0; index < 10; index++)
      expect(targets(lp.held(`g${index}`)?.links)).toEqual([`coap://gateway.example/${index}`]);
    expect(lp.held("n7")?.links).toHaveLength(1);
  });

  test("where registrations have links of others, all are asked for", async () => {
    const { rd, follow } = setUp();
    // Each registers what its neighbour has as well.
    for (let index = 0; index < COUNT; index++)
      rd.register(`n${index}`, { links: ["/t>", `/d>;anchor="coap://n${(index + 1) % COUNT}.example"`] });
    const lp = follow();
    await lp.untilLive();
    expect(lp.upstream.status().capabilities.attribution).toBe("href");
    for (const index of [0, 100, COUNT - 1])
      expect(targets(lp.held(`n${index}`)?.links)).toEqual([
        `coap://n${index}.example/d`,
        `coap://n${index}.example/t`,
      ]);
  });

  test("a single link of another endpoint, which no sample shows, is found out in time", async () => {
    const { rd, follow, world } = setUp();
    for (let index = 0; index < COUNT; index++) rd.register(`n${index}`);
    rd.register("odd", { links: ["/t>", '/d>;anchor="coap://n250.example"'] });
    const lp = follow();
    await lp.untilLive();
    expect(lp.upstream.status().capabilities.attribution).toBe("base");
    await lp.until(() => lp.held("odd")?.links.length === 2, 50 * 2 * DEFAULTS.pollMs);
    expect(lp.held("n250")?.links).toHaveLength(1);
    expect(lp.upstream.status().capabilities.attribution).toBe("href");
    rd.requests.length = 0;
    await world.clock.advance(10 * DEFAULTS.pollMs);
    expect(asked(rd)).toBe(0);
  });

  test("links of no registration cost a request for each registration once, and everything is shown before", async () => {
    const { rd, follow } = setUp({
      write: (text) => (text.includes("/t") && text.length > 5000 ? `${text},<coap://gone.example/t>;rt="x"` : text),
    });
    for (let index = 0; index < COUNT; index++) rd.register(`n${index}`);
    const lp = follow();
    await lp.until(() => lp.endpoints().length === COUNT);
    expect(asked(rd)).toBeLessThan(20);
    await lp.untilLive(60_000);
    expect(lp.upstream.status().capabilities.attribution).toBe("href");
    expect(Object.fromEntries(lp.upstream.status().leftOut)).toEqual({ "no-registration": 1 });
  });

  test("with one base for all, registrations are shown as they are attributed, and none is asked for twice", async () => {
    const { rd, follow, world } = setUp();
    world.network.setLink("2001:db8::1", "2001:db8::f", { delayMs: 200 });
    for (let index = 0; index < COUNT; index++)
      rd.register(`n${index}`, { base: "coap://gateway.example", links: [`/${index}>`] });
    const lp = follow();
    await lp.until(() => lp.endpoints().length >= 20, 60_000);
    expect(lp.upstream.status()).toMatchObject({ phase: "copying", isComplete: false });
    const before = asked(rd);
    expect(before).toBeLessThan(COUNT);
    const shown = lp.endpoints().length;
    world.network.partition(["2001:db8::1"], ["2001:db8::f"]);
    await lp.until(() => lp.upstream.status().phase === "missing", 240_000);
    world.network.heal();
    await lp.until(() => lp.endpoints().length === COUNT, 120_000);
    await lp.untilLive(120_000);
    // What was attributed before the outage stays.
    expect(asked(rd)).toBeLessThan(COUNT + before - shown + 150);
  });

  test("where searching is slow and reading is not, registrations are read", async () => {
    const { rd, follow } = setUp({ slowLookupMs: 100 });
    for (let index = 0; index < COUNT; index++)
      rd.register(`n${index}`, { base: "coap://gateway.example", links: [`/${index}>`] });
    const lp = follow();
    await lp.untilLive(60_000);
    expect(lp.upstream.status().capabilities.attribution).toBe("resource");
    expect(asked(rd)).toBeLessThan(20);
    expect(targets(lp.held("n99")?.links)).toEqual(["coap://gateway.example/99"]);
  });
});
