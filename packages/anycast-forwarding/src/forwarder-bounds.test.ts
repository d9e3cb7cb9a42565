import {
  CODE,
  type CoapClient,
  createAmplificationGuard,
  encodeUint,
  OPTION,
  TransportError,
} from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { DEFAULT_REGISTRATION_LIMITS } from "@tributary/resource-directory";
import { buildRequest } from "@tributary/resource-directory/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRequestForwarding } from "./anycast-forwarding.js";
import { addressOf, FIGURE, type NodePlan, openGroup, settled } from "./testing/shared-address.js";

function open(plans: Readonly<Record<string, NodePlan>> = FIGURE) {
  const world = createVirtualWorld();
  return { world, ...openGroup(world, plans) };
}

describe("RFC 8768: loops", () => {
  test("LPX-20 two nodes that take each other for the RD: 5.08 with both names, and one forwarding each", async () => {
    const group = open({
      host1: { lp: true, peers: [{ name: "host2", rd: true }] },
      host2: { lp: true, peers: [{ name: "host1", rd: true }] },
    });
    expect(await group.ask("host1", "POST /rd?ep=a")).toMatchObject({ code: "5.08", text: "host1 host2" });
    expect(group.node("host2").forwarding.rejected.get("forward-loop")).toBe(1);
  });

  test("LPX-20 three in a circle: the hop limit ends it", async () => {
    const group = open({
      host1: { lp: true, peers: [{ name: "host2", rd: true }] },
      host2: { lp: true, peers: [{ name: "host3", rd: true }] },
      host3: { lp: true, peers: [{ name: "host1", rd: true }] },
    });
    const { code, text } = await group.ask("host1", "POST /rd?ep=a");
    expect(code).toBe("5.08");
    expect(text.split(" ")).toHaveLength(17);
  });

  test.each([
    { name: "the last hop", hopLimit: 1, code: "5.08", served: 0 },
    { name: "one more hop", hopLimit: 2, code: "2.01", served: 1 },
  ])("LPX-20 Hop-Limit of the client: $name", async ({ hopLimit, code, served }) => {
    const group = open();
    expect((await group.ask("host4", "POST /rd?ep=a", { hopLimit })).code).toBe(code);
    expect(group.node("host3").served.map((request) => request.hopLimit)).toEqual(served === 0 ? [] : [hopLimit - 1]);
  });

  test("a Hop-Limit that is none is refused", async () => {
    const group = open();
    const options = [{ number: OPTION.HOP_LIMIT, value: encodeUint(0) }];
    expect((await group.ask("host4", "POST /rd?ep=a", { options })).code).toBe("4.00");
  });
});

describe("bounds and refusals", () => {
  test("nothing that came by multicast is forwarded", async () => {
    const group = open();
    for (const resource of group.node("host4").forwarding.resources.filter(({ path }) => path[0] !== ".well-known")) {
      const path = resource.path[0] === "reg" ? "/reg/host3/1" : "/rd?ep=a";
      expect(await resource.handle(buildRequest("POST", path, { isMulticast: true }))).toMatchObject({
        code: CODE.NOT_FOUND,
      });
    }
    await group.world.clock.advance(1000);
    expect(group.node("host3").served).toEqual([]);
  });

  test("whatever is asked, there is an answer", async () => {
    const group = open();
    const { world, client } = group;
    const option = fc.record({
      number: fc.integer({ min: 0, max: 3000 }).filter((number) => ![3, 6, 7, 11, 15, 23, 27].includes(number)),
      value: fc.uint8Array({ maxLength: 12 }),
    });
    const segment = fc.oneof(
      fc.constantFrom("reg", "rd", "host3", "rd-lookup", "ep", "..", ""),
      fc.string({ unit: "binary" }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 7 }),
        fc.array(segment, { maxLength: 4 }),
        fc.array(fc.string({ unit: "binary", maxLength: 60 }), { maxLength: 4 }),
        fc.array(option, { maxLength: 4 }),
        fc.uint8Array({ maxLength: 30 }),
        async (method, path, query, options, payload) => {
          const uriPath = path.map((text) => ({ number: OPTION.URI_PATH, value: Buffer.from(text) }));
          const request = { method, uri: `coap://[${addressOf("host4")}]`, query, payload };
          const asked = client.request({ ...request, options: [...uriPath, ...options] });
          const outcome = await settled(world, asked).then(
            ({ code }) => code >> 5,
            (error) => error.code,
          );
          expect([2, 4, 5, "RESET", "BAD_URI"]).toContain(outcome);
        },
      ),
      { numRuns: 300 },
    );
    expect(group.node("host4").endpoint.counters.rejected.get("handler-failure")).toBeUndefined();
    expect(group.node("host4").forwarding.tableSizes()).toMatchObject({ forwarded: 0 });
  });

  test("more requests at once than configured: 5.03 with Max-Age", async () => {
    const group = open({ host2: { rd: true }, host4: { lp: true, options: { concurrency: 2 } } });
    group.silence("host2");
    const uri = `coap://[${addressOf("host4")}]/rd?ep=a`;
    const asked = Array.from({ length: 5 }, () => group.client.request({ method: 2, uri }));
    const codes = (await settled(group.world, Promise.all(asked))).map(({ code, maxAgeS }) => [code, maxAgeS]);
    expect(codes.filter(([code]) => code === CODE.UNAVAILABLE)).toEqual(Array(3).fill([CODE.UNAVAILABLE, 5]));
    expect(codes.filter(([code]) => code === CODE.GATEWAY_TIMEOUT)).toHaveLength(2);
    expect(group.node("host4").forwarding.rejected.get("forward-overload")).toBe(3);
    expect(group.node("host4").forwarding.tableSizes()).toMatchObject({ forwarded: 0 });
  });

  test("a silent peer takes no more than half of the room: the others are asked as ever", async () => {
    const group = open();
    group.silence("host3");
    const { world, client } = group;
    const post = (path: string) => client.request({ method: 2, uri: `coap://[${addressOf("host4")}]${path}` });
    const waiting = Promise.all(Array.from({ length: 20 }, () => post("/reg/host3/1")));
    await world.clock.advance(100);
    expect(group.node("host4").forwarding.tableSizes()).toMatchObject({ forwarded: 4 });
    expect((await settled(world, post("/reg/host2/1"))).code).toBe(CODE.CHANGED);
    const codes = (await settled(world, waiting)).map(({ code }) => code);
    expect(codes.filter((code) => code === CODE.UNAVAILABLE)).toHaveLength(16);
    expect(codes.filter((code) => code === CODE.GATEWAY_TIMEOUT)).toHaveLength(4);
    expect(group.node("host4").forwarding.rejected.get("forward-overload")).toBe(16);
  });

  test("the rest of the registrations goes to the next RD", async () => {
    const group = open();
    group.silence("host3");
    const uri = `coap://[${addressOf("host4")}]/rd?ep=a`;
    const asked = Array.from({ length: 6 }, () => group.client.request({ method: 2, uri }));
    const answers = await settled(group.world, Promise.all(asked));
    expect(answers.map(({ locationPath }) => locationPath[1])).toEqual(Array(6).fill("host2"));
    expect(group.node("host4").forwarding.peers()[0]).toMatchObject({ name: "host3", outcomes: { timeout: 4 } });
  });

  test("few wait for a peer that is known to be silent, the others get 5.04 at once", async () => {
    const group = open({ ...FIGURE, host4: { ...FIGURE.host4, options: { concurrency: 64 } } });
    group.silence("host3");
    const { world, client } = group;
    const post = () => client.request({ method: 2, uri: `coap://[${addressOf("host4")}]/reg/host3/1` });
    await settled(world, post());
    const asked = Promise.all(Array.from({ length: 20 }, post));
    await world.clock.advance(100);
    expect(group.node("host4").forwarding.tableSizes()).toMatchObject({ forwarded: 8 });
    for (const { code, payload } of await settled(world, asked))
      expect([code, new TextDecoder().decode(payload)]).toEqual([CODE.GATEWAY_TIMEOUT, "host3 does not answer"]);
    expect(group.node("host4").forwarding.rejected.get("forward-silent")).toBe(12);
  });

  test("the more answers are passed on at once, the smaller each may be; one that is too large may be asked for later", async () => {
    const limits: (number | undefined)[] = [];
    const tooLarge: (() => void)[] = [];
    const client: CoapClient = {
      request: (_, control) => {
        limits.push(control?.maxBodyBytes);
        return new Promise((_resolve, reject) => {
          tooLarge.push(() => reject(new TransportError("TOO_LARGE", "more than that")));
        });
      },
      observe: () => expect.unreachable(),
      ping: () => expect.unreachable(),
      close: async () => {},
    };
    const { env } = createVirtualWorld();
    const peer = { name: "host1", uri: "coap://[2001:db8:23::1]", takesRegistrations: false, answersLookups: true };
    const options = {
      timeoutMs: 10_000,
      failoverMs: 1000,
      concurrency: 100,
      observations: 0,
      requiresFreshness: false,
    };
    const self = { name: "host2", takesRegistrations: true, answersLookups: false };
    const forwarding = createRequestForwarding(
      { client, env },
      { self, peers: [peer], limits: DEFAULT_REGISTRATION_LIMITS, ...options },
    );
    const lookup = forwarding.lookup(
      () => expect.unreachable(),
      () => "everywhere",
    );
    const asked = Array.from({ length: 64 }, async () => lookup(buildRequest("GET", "/rd-lookup/ep")));
    const stranger = lookup(buildRequest("GET", "/rd-lookup/ep", { sourceProof: "none" }));
    const MIB = 1024 * 1024;
    expect([limits[0], limits[7], limits[63], limits[64]]).toEqual([64 * MIB, 32 * MIB, 4 * MIB, MIB / 16]);
    for (const end of tooLarge) end();
    const answers = await Promise.all(asked);
    expect(answers[0]?.code, "nobody could pass that on").toBe(CODE.BAD_GATEWAY);
    expect(answers[63]).toMatchObject({ code: CODE.UNAVAILABLE, maxAgeS: 5 });
    expect(await stranger).toMatchObject({ code: CODE.UNAUTHORIZED, issuesEcho: true });
    forwarding.close();
  });

  test("4.02 for an option that is unsafe to forward and not understood", async () => {
    const group = open();
    const options = [{ number: 2050, value: Uint8Array.of(1) }];
    expect((await group.ask("host4", "POST /rd?ep=a", { options })).code).toBe("4.02");
    expect(group.node("host3").served).toEqual([]);
    expect(group.node("host4").forwarding.rejected.get("forward-option")).toBe(1);
  });

  test("FRS-01 with freshness, changes need an Echo value made here; reading does not", async () => {
    const world = createVirtualWorld();
    const guard = createAmplificationGuard(world.env, {});
    const group = openGroup(world, {
      host2: { rd: true },
      host4: { lp: true, guard, options: { requiresFreshness: true } },
    });
    expect((await group.ask("host4", "GET /reg/host2/1")).code).toBe("2.04");
    expect(group.node("host4").forwarding.rejected.get("not-fresh")).toBeUndefined();
    // The client gives the value back by itself.
    const { code, response } = await group.ask("host4", "POST /rd?ep=a");
    expect(code).toBe("2.01");
    expect(response.echo, "one for the next change").toBeDefined();
    expect(group.node("host4").forwarding.rejected.get("not-fresh")).toBe(1);
    expect(group.node("host2").served.filter(({ method }) => method === 2)).toHaveLength(1);
  });

  test("closing ends what is under way with an answer", async () => {
    const group = open({ host2: { rd: true }, host4: { lp: true } });
    group.silence("host2");
    const asked = group.ask("host4", "POST /rd?ep=a");
    await group.world.clock.advance(500);
    group.node("host4").forwarding.close();
    expect((await asked).code).toBe("5.04");
    const { pending } = group.world.clock;
    await group.world.clock.advance(300_000);
    expect(group.world.clock.pending, "no more pings").toBeLessThanOrEqual(pending);
  });
});
