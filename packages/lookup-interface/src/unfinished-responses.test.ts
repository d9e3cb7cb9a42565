import { CODE } from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import type { Registration } from "@tributary/merge-engine";
import { openClient, serveDirectory, type TestWorld, textOf } from "@tributary/resource-directory/testing";
import { describe, expect, test } from "vitest";

const ENDPOINTS = 3_000;

/** A registration of an upstream. */
const copied = (ep: string, nowMs: number): Registration => ({
  href: `/reg/${ep}`,
  ep,
  base: `coap://${ep}`,
  attributes: [],
  links: [],
  ltMs: 90_000_000,
  renewedAtMs: nowMs,
  expiresAtMs: nowMs + 90_000_000,
  expiry: "exact",
});

function setUp() {
  const world = createVirtualWorld() as ReturnType<typeof createVirtualWorld> & TestWorld;
  const served = serveDirectory(world);
  for (let index = 0; index < ENDPOINTS; index++)
    served.register(
      `ep=n${String(index).padStart(4, "0")}&base=coap://n${index}.example`,
      "</t>;rt=temperature,</l>;rt=light",
    );
  let looked = 0;
  const lookup = served.directory.lookupInSteps.bind(served.directory);
  served.directory.lookupInSteps = function* (...args) {
    for (const link of lookup(...args)) {
      if (link !== null) looked++;
      yield link;
    }
  } as typeof served.directory.lookupInSteps;
  const client = openClient(world);
  return { ...served, world, client, looked: () => looked };
}

describe("a long answer", () => {
  test("arrives whole, and is what the directory holds", { timeout: 60_000 }, async () => {
    const { client } = setUp();
    const { code, payload } = await client.request("GET", "/rd-lookup/res");
    expect(code).toBe(CODE.CONTENT);
    const links = Buffer.from(payload).toString().split(",");
    expect(links).toHaveLength(2 * ENDPOINTS);
    expect(new Set(links).size).toBe(2 * ENDPOINTS);
    expect(links[0]).toBe('<coap://n0.example/t>;rt="temperature"');
  });

  test("begins before it is written", () => {
    const { ask, looked } = setUp();
    const answer = ask("GET", "/rd-lookup/res");
    expect(answer.rest).toBeDefined();
    expect(looked()).toBeLessThan(ENDPOINTS);
    const head = Buffer.from(answer.payload ?? []).toString();
    const whole = textOf(answer);
    expect(looked()).toBe(2 * ENDPOINTS);
    expect(whole.length).toBeGreaterThan(head.length);
    expect(whole.startsWith(head)).toBe(true);
  });

  test("is written once for all who ask for the same, until the directory changes", () => {
    const { ask, looked, register } = setUp();
    const first = ask("GET", "/rd-lookup/res");
    textOf(first);
    const written = looked();
    const second = ask("GET", "/rd-lookup/res");
    expect(textOf(second)).toBe(textOf(first));
    expect(second.etag).toEqual(first.etag);
    expect(looked()).toBe(written);
    // Another lookup has a body of its own.
    expect(textOf(ask("GET", "/rd-lookup/res?rt=light"))).not.toBe(textOf(first));
    register("ep=another&base=coap://another.example", "</new>");
    const third = ask("GET", "/rd-lookup/res");
    expect(third.etag).not.toEqual(first.etag);
    expect(textOf(third)).toContain("coap://another.example/new");
    expect(textOf(first)).not.toContain("coap://another.example/new");
  });

  test("is begun with little of it after a change, once it is known to be long", () => {
    const { ask, looked, register } = setUp();
    const blockLength = 1024;
    ask("GET", "/rd-lookup/res").rest?.upTo(blockLength + 1);
    for (let change = 0; change < 3; change++) {
      register(`ep=more${change}&base=coap://more.example`, "</m>");
      const before = looked();
      const answer = ask("GET", "/rd-lookup/res");
      answer.rest?.upTo(blockLength + 1);
      expect(answer.rest).toBeDefined();
      // Links of about 40 bytes.
      expect(looked() - before).toBeLessThan((2 * blockLength) / 25);
    }
  });

  test("is of one piece while the directory changes: every registration that stays is in it, once", async () => {
    const { ask, register } = setUp();
    const answer = ask("GET", "/rd-lookup/res");
    const head = answer.payload?.length ?? 0;
    for (let index = 0; index < 50; index++) {
      register(`ep=a${index}&base=coap://early.example`, "</e>");
      register(`ep=z${index}&base=coap://late.example`, "</z>");
      answer.rest?.upTo(head + 2_000 * index);
    }
    const text = textOf(answer);
    const targets = text.split(",").filter((link) => /<coap:\/\/n\d+/.test(link));
    expect(targets).toHaveLength(2 * ENDPOINTS);
    expect(new Set(targets).size).toBe(2 * ENDPOINTS);
  });

  test("is superseded when a source is closed: a client that fetches it gets all of what is there then", async () => {
    const { directory, client, ask, world } = setUp();
    const nowMs = world.clock.nowMs();
    const open = (source: string) => {
      directory.openSource(source, { authority: `coap://${source}` });
      directory.setConnected(source, true, nowMs);
      for (let index = 0; index < ENDPOINTS; index++)
        directory.put(source, copied(`m${String(index).padStart(4, "0")}`, nowMs), nowMs);
    };
    open("a");
    const answer = ask("GET", "/rd-lookup/ep?ep=m*");
    const fetching = client.request("GET", "/rd-lookup/ep?ep=m*");
    let isReplaced = false;
    world.env.clock.setTimer(20, () => {
      isReplaced = true;
      directory.closeSource("a", nowMs);
      open("b");
    });
    const { code, payload } = await fetching;
    expect(isReplaced).toBe(true);
    expect(code).toBe(CODE.CONTENT);
    const targets = Buffer.from(payload)
      .toString()
      .split(",")
      .map((link) => link.slice(0, link.indexOf(">")));
    expect(targets).toHaveLength(ENDPOINTS);
    expect(new Set(targets.map((target) => target.slice(0, "<coap://b".length)))).toEqual(new Set(["<coap://b"]));
    expect(() => textOf(answer)).toThrow(expect.objectContaining({ code: "SUPERSEDED" }));
    // What cannot be continued is not given to others.
    expect(textOf(ask("GET", "/rd-lookup/ep?ep=m*")).split(",")).toHaveLength(ENDPOINTS);
  });

  test("has the same tag until something changes, and is confirmed by it without being written", async () => {
    const { ask, register, looked } = setUp();
    const etag = ask("GET", "/rd-lookup/res").etag as Uint8Array;
    expect(ask("GET", "/rd-lookup/res").etag).toEqual(etag);
    const before = looked();
    expect(ask("GET", "/rd-lookup/res", { etags: [etag] }).code).toBe(CODE.VALID);
    expect(looked() - before).toBeLessThan(ENDPOINTS);
    expect(ask("GET", "/rd-lookup/res?rt=light").etag).not.toEqual(etag);
    register("ep=new&base=coap://new.example", "</n>");
    expect(ask("GET", "/rd-lookup/res").etag).not.toEqual(etag);
  });

  test("is written whole for its observers, who are notified when its bytes change", () => {
    const { ask } = setUp();
    const answer = ask("GET", "/rd-lookup/res", { observe: 0 });
    expect(answer.rest).toBeUndefined();
    expect(answer.observation).toBeDefined();
  });
});

test("a short answer is written at once", () => {
  const { ask } = setUp();
  expect(ask("GET", "/rd-lookup/res?ep=n0001").rest).toBeUndefined();
});
