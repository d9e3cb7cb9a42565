import {
  type ClientResponse,
  CODE,
  formatCode,
  METHOD,
  type Observer,
  type ServerResponse,
  TransportError,
} from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { buildRequest } from "@tributary/resource-directory/testing";
import { describe, expect, test } from "vitest";
import { ByteBudget } from "./byte-budget.js";
import { SharedObservation } from "./shared-observation.js";
import { addressOf, openGroup } from "./testing/shared-address.js";
import type { ForwardingOptions } from "./types.js";

const state = (text: string, more: Partial<ServerResponse> = {}): ServerResponse => ({
  code: CODE.CONTENT,
  contentFormat: 40,
  payload: Buffer.from(text),
  maxAgeS: 60,
  ...more,
});

/** host1 is the lookup proxy, host2 an RD without one: clients observe lookups through it. */
function open(options: Partial<ForwardingOptions> = {}) {
  const world = createVirtualWorld();
  const group = openGroup(world, { host1: { lp: true }, host2: { rd: true, options } });
  group.node("host1").respondWith(state("one"));
  const observe = (query = "ep=a", etags: readonly Uint8Array[] = []) => {
    const heard: string[] = [];
    const responses: ClientResponse[] = [];
    const ends: unknown[] = [];
    const uri = `coap://[${addressOf("host2")}]/rd-lookup/ep?${query}`;
    const observation = group.client.observe(
      { method: METHOD.GET, uri, etags },
      {
        onNotification(response) {
          responses.push(response);
          const text = new TextDecoder().decode(response.payload);
          heard.push(response.code === CODE.CONTENT ? text : `${formatCode(response.code)} ${text}`.trim());
        },
        onEnd: (reason) => ends.push(reason instanceof Error ? reason.message : reason),
      },
    );
    return { observation, heard, responses, ends };
  };
  const tables = () => group.node("host2").forwarding.tableSizes();
  return { ...group, world, observe, tables, lp: group.node("host1") };
}

describe("RFC 7641 section 5: observing through a node", () => {
  test("first state and every later one", async () => {
    const { world, observe, lp } = open();
    const { heard } = observe();
    await world.clock.advance(100);
    lp.respondWith(state("two"));
    await world.clock.advance(100);
    lp.respondWith(state("three"));
    await world.clock.advance(100);
    expect(heard).toEqual(["one", "two", "three"]);
  });

  test("one observation at the peer for all who ask the same; others have their own", async () => {
    const { world, observe, lp, tables } = open();
    const first = observe();
    await world.clock.advance(100);
    lp.respondWith(state("two"));
    await world.clock.advance(100);
    const others = [observe(), observe(), observe("ep=b")];
    await world.clock.advance(100);
    expect(others.map(({ heard }) => heard)).toEqual([["two"], ["two"], ["two"]]);
    expect(lp.observers.size).toBe(2);
    expect(tables()).toMatchObject({ "forwarded-observations": 2, forwarded: 0 });
    lp.respondWith(state("three"));
    await world.clock.advance(100);
    expect(first.heard).toEqual(["one", "two", "three"]);
    for (const { heard } of others) expect(heard).toEqual(["two", "three"]);
  });

  test("who asks while the first answer is under way shares it too", async () => {
    const { world, observe, lp } = open();
    const both = [observe(), observe()];
    await world.clock.advance(100);
    expect(both.map(({ heard }) => heard)).toEqual([["one"], ["one"]]);
    expect(lp.served).toHaveLength(1);
  });

  test("when the last one leaves, so does this node, a moment later", async () => {
    const { world, observe, lp, tables } = open();
    const one = observe();
    const other = observe();
    await world.clock.advance(100);
    await Promise.all([one.observation.close(), world.clock.advance(100)]);
    await world.clock.advance(10_000);
    expect(lp.observers.size, "one is left").toBe(1);
    await Promise.all([other.observation.close(), world.clock.advance(100)]);
    expect(lp.observers.size, "they come and go").toBe(1);
    await world.clock.advance(3000);
    expect(lp.observers.size).toBe(0);
    expect(tables()).toMatchObject({ "forwarded-observations": 0 });
  });

  test("who holds the state already gets 2.03, and the next one in full", async () => {
    const { world, observe, lp } = open();
    const etag = Uint8Array.of(7);
    lp.respondWith(state("one", { etag }));
    const { heard } = observe("ep=a", [etag]);
    await world.clock.advance(100);
    lp.respondWith(state("two"));
    await world.clock.advance(100);
    expect(heard).toEqual(["2.03", "two"]);
    expect(lp.served[0]?.etags, "others share the answer").toEqual([]);
  });

  test("a state that was not confirmed within its Max-Age is asked for again, by its tag", async () => {
    const { world, observe, lp } = open();
    const etag = Uint8Array.of(7);
    lp.respondWith(state("one", { etag }));
    const { heard } = observe();
    await world.clock.advance(59_000);
    expect(lp.served).toHaveLength(1);
    const late = observe();
    await world.clock.advance(100);
    expect(late.responses[0]?.maxAgeS, "what is left of it").toBeLessThanOrEqual(2);
    await world.clock.advance(2000);
    expect(lp.served).toHaveLength(2);
    expect(lp.served[1]?.etags).toEqual([etag]);
    expect(heard[0]).toBe("one");
  });

  test("a lost refresh is repeated, and nobody notices", async () => {
    const { world, observe, lp } = open();
    const { heard, ends } = observe();
    await world.clock.advance(59_000);
    let lost = 0;
    world.network.filter = (from) => from.address !== addressOf("host2") || lost++ > 1;
    await world.clock.advance(10_000);
    expect(lost).toBeGreaterThan(2);
    lp.respondWith(state("two"));
    await world.clock.advance(100);
    expect(heard.at(-1)).toBe("two");
    expect(ends).toEqual([]);
  });

  test("a closest proxy that is silent is passed over, also to observe", async () => {
    const world = createVirtualWorld();
    const group = openGroup(world, { host1: { lp: true }, host2: { rd: true }, host4: { lp: true } });
    group.silence("host1");
    const heard: string[] = [];
    const uri = `coap://[${addressOf("host2")}]/rd-lookup/ep?ep=a`;
    group.client.observe(
      { method: METHOD.GET, uri },
      { onNotification: ({ payload }) => heard.push(new TextDecoder().decode(payload)), onEnd: () => {} },
    );
    await world.clock.advance(1500);
    expect(heard).toEqual(["host4 ep=a"]);
    expect(group.node("host2").forwarding.tableSizes()).toMatchObject({ "forwarded-observations": 1 });
    group.node("host4").respondWith(state("later"));
    await world.clock.advance(100);
    expect(heard).toEqual(["host4 ep=a", "later"]);
  });

  test("the peer falls silent: observers get 5.04 and may ask again", async () => {
    const { world, silence, observe, node, tables } = open();
    const { heard, ends } = observe();
    await world.clock.advance(100);
    silence("host1");
    await world.clock.advance(80_000);
    expect(heard.at(-1)).toMatch(/^5\.04/);
    expect(ends).toEqual(["error-response"]);
    expect(node("host2").forwarding.peers()[0]?.isUp).toBe(false);
    expect(tables()).toMatchObject({ "forwarded-observations": 0 });
  });

  test.each([
    { name: "silence", code: "TIMEOUT", end: CODE.GATEWAY_TIMEOUT },
    { name: "an answer that cannot be passed on", code: "TOO_LARGE", end: CODE.UNAVAILABLE },
  ] as const)("it ends by $name, and observers get the reason", ({ code, end }) => {
    const noted: Error[] = [];
    const shared = new SharedObservation(createVirtualWorld().env, {
      name: "host2",
      onEnded: () => {},
      onSilence: (error) => noted.push(error),
      budget: new ByteBudget(1000),
      onNoRoom: () => expect.unreachable(),
    });
    const first = { ...state("one"), maxAgeS: 60, options: [], locationPath: [], locationQuery: [], isSecure: false };
    shared.onNotification(first as unknown as ClientResponse);
    const ends: ServerResponse[] = [];
    const { peer } = buildRequest("GET", "/rd-lookup/ep");
    const observer: Observer = { peer, wake: () => {}, end: (final) => void (final && ends.push(final)) };
    shared.join()?.observation?.attach(observer);
    const error = new TransportError(code, "over");
    shared.onEnd(error);
    expect(ends.map((final) => final.code)).toEqual([end]);
    expect(noted).toEqual([error]);
  });

  test("an error of the peer is the last word to all", async () => {
    const { world, observe, lp } = open();
    const both = [observe(), observe()];
    await world.clock.advance(100);
    lp.respondWith({ code: CODE.UNAVAILABLE, payload: Buffer.from("the end") });
    await world.clock.advance(100);
    for (const { heard, ends } of both) {
      expect(heard).toEqual(["one", "5.03 the end"]);
      expect(ends).toEqual(["error-response"]);
    }
  });

  test("what cannot be observed is answered without", async () => {
    const { world, client, tables } = open();
    const ends: unknown[] = [];
    const codes: string[] = [];
    client.observe(
      { method: METHOD.GET, uri: `coap://[${addressOf("host1")}]/reg/host2/1` },
      { onNotification: ({ code }) => codes.push(formatCode(code)), onEnd: (reason) => ends.push(reason) },
    );
    await world.clock.advance(500);
    expect(codes).toEqual(["2.04"]);
    expect(ends).toEqual(["not-observable"]);
    expect(tables()).toMatchObject({ "forwarded-observations": 0 });
  });

  test("beyond the bound answers come without Observe", async () => {
    const { world, observe, node } = open();
    const all = Array.from({ length: 6 }, (_, index) => observe(`ep=${index}`));
    await world.clock.advance(500);
    expect(all.map(({ ends }) => ends)).toEqual([[], [], [], [], ["not-observable"], ["not-observable"]]);
    expect(all.every(({ heard }) => heard[0] === "one")).toBe(true);
    expect(node("host2").forwarding.rejected.get("observer-limit")).toBe(2);
  });

  test("what is observed has a bound in bytes: beyond it answers come without, and there is room again when one leaves", async () => {
    const { world, observe, node, lp, tables } = open({ observedBytes: 2000 });
    lp.respondWith(state("x".repeat(700)));
    const first = observe("ep=1");
    const second = observe("ep=2");
    await world.clock.advance(500);
    const third = observe("ep=3");
    await world.clock.advance(500);
    expect([first, second, third].map(({ ends }) => ends)).toEqual([[], [], ["not-observable"]]);
    expect(third.heard[0]).toHaveLength(700);
    expect(node("host2").forwarding.rejected.get("observer-limit")).toBe(1);
    await Promise.all([first.observation.close(), world.clock.advance(100)]);
    await world.clock.advance(3000);
    const fourth = observe("ep=4");
    await world.clock.advance(500);
    expect(fourth.ends).toEqual([]);
    expect(tables()).toMatchObject({ "forwarded-observations": 2 });
    expect(lp.observers.size, "none is kept at the peer for nobody").toBe(2);
  });

  test("a state that has grown beyond it ends its observation, and leaves the others", async () => {
    const { world, observe, node, lp } = open({ observedBytes: 1000 });
    const { heard, ends } = observe();
    await world.clock.advance(100);
    for (const size of [400, 600, 1200, 600]) {
      lp.respondWith(state("x".repeat(size)));
      await world.clock.advance(500);
    }
    expect(heard.map((text) => text.slice(0, 4))).toEqual(["one", "xxxx", "xxxx", "5.03"]);
    expect(ends).toEqual(["error-response"]);
    expect(lp.observers.size).toBe(0);
    const again = observe();
    await world.clock.advance(500);
    expect([again.heard.length, again.ends]).toEqual([1, []]);
    expect(node("host2").forwarding.rejected.get("observer-limit")).toBe(1);
  });

  test("requests count as well", async () => {
    const { world, observe, node } = open({ observedBytes: 200 });
    const { heard, ends } = observe(`ep=${"x".repeat(200)}`);
    await world.clock.advance(500);
    expect([heard, ends]).toEqual([["one"], ["not-observable"]]);
    expect(node("host2").forwarding.rejected.get("observer-limit")).toBe(1);
  });

  test("closing ends the observations, and later states reach nobody", async () => {
    const { world, observe, node, lp } = open();
    const { heard } = observe();
    await world.clock.advance(100);
    node("host2").forwarding.close();
    await world.clock.advance(100);
    expect(heard.at(-1)).toBe("5.03 shutting down");
    lp.respondWith(state("two"));
    await world.clock.advance(100);
    expect(heard).toHaveLength(2);
    expect(lp.observers.size, "the peer got a RST").toBe(0);
  });
});
