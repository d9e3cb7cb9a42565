import { describe, expect, test } from "vitest";
import { findBlock, findOption } from "../message/block-option.js";
import { CODE, METHOD, OPTION } from "../message/codes.js";
import { uintOption } from "../message/option-values.js";
import { ACK, content, NON, REGISTER } from "../testing/observable-resource.js";
import { ENDPOINT_URI, serveEndpoint } from "../testing/served-endpoint.js";
import { createVirtualWorld } from "../testing/virtual-world.js";
import type { ClientResponse, ObservedResource, RequestHandler, ServerRequest } from "../types.js";
import type { CoapEndpointOptions } from "../udp/endpoint.js";
import type { UdpMessage } from "../udp/message-codec.js";
import { type AmplificationGuardOptions, createAmplificationGuard } from "./amplification-guard.js";

const LARGE = Buffer.alloc(3000, "x");

/** A server that asks strangers for proof, and counts what it sends where. */
function guardedServer(
  handler: RequestHandler,
  options: Partial<AmplificationGuardOptions> = {},
  more: CoapEndpointOptions = {},
) {
  const world = createVirtualWorld();
  const guard = createAmplificationGuard({ clock: world.clock }, options);
  const served = serveEndpoint({ handler, guard, ...more }, world);
  const sent: { readonly to: string; readonly bytes: number }[] = [];
  world.network.onEvent = ({ from, to, datagram, fate }) => {
    if (fate === "sent" && from.address === served.endpoint.local.address)
      sent.push({ to: to.address, bytes: datagram.length });
  };
  const unverified = () => served.endpoint.counters.rejected.get("unverified") ?? 0;
  return { ...served, guard, sent, unverified };
}

const echoIn = (message: UdpMessage) => findOption(message.options, OPTION.ECHO);

describe("RFC 9175 section 2.4: amplification", () => {
  test("SEC-07 a large answer to a stranger is a 4.01 with Echo, small, piggybacked, without payload, and counted", async () => {
    const { clock, peer, sent, unverified } = guardedServer(() => content(LARGE));
    const client = peer();
    client.send({ path: "/rd-lookup/res", token: [1] });
    await clock.advance(5);
    const challenge = client.take();
    expect(challenge).toMatchObject({ type: ACK, code: CODE.UNAUTHORIZED });
    expect(challenge.payload).toHaveLength(0);
    expect(echoIn(challenge)?.value.length).toBeLessThanOrEqual(40);
    expect(sent.map(({ bytes }) => bytes)).toEqual([28]);
    expect(unverified()).toBe(1);
  });

  test("SEC-08 the request with that Echo gets the answer, and so do later ones without, from any port", async () => {
    const { clock, peer, unverified } = guardedServer(() => content(LARGE));
    const client = peer();
    client.send({ path: "/a" });
    await clock.advance(5);
    const echo = echoIn(client.take());
    client.send({ path: "/a", ...(echo === undefined ? {} : { options: [echo] }) });
    await clock.advance(5);
    const answer = client.take();
    expect([answer.code, answer.payload.length]).toEqual([CODE.CONTENT, 1024]);
    const other = peer("2001:db8::2", 9);
    other.send({ path: "/a" });
    await clock.advance(5);
    expect(other.take().code).toBe(CODE.CONTENT);
    expect(unverified()).toBe(1);
  });

  test.each([
    { name: "an answer of 136 bytes goes to anybody", bytes: 128, padding: 0, code: CODE.CONTENT },
    { name: "one of more than that does not", bytes: 140, padding: 0, code: CODE.UNAUTHORIZED },
    { name: "three times the request is enough", bytes: 140, padding: 50, code: CODE.CONTENT },
    { name: "more than three times is not", bytes: 200, padding: 50, code: CODE.UNAUTHORIZED },
  ])("SEC-07 $name", async ({ bytes, padding, code }) => {
    const { clock, peer, sent } = guardedServer(() => ({ code: CODE.CONTENT, payload: LARGE.subarray(0, bytes) }));
    const client = peer();
    client.send({ path: "/", query: [padding === 0 ? "" : "q".repeat(padding)] });
    await clock.advance(5);
    expect(client.take().code).toBe(code);
    expect(sent[0]?.bytes).toBeLessThanOrEqual(Math.max(136, 3 * (padding + 8)));
  });

  test("SEC-07 small blocks need no proof, one by one, as long as they are small", async () => {
    const { clock, peer } = guardedServer(() => content(LARGE));
    const client = peer();
    const ask = async (num: number, szx: number) => {
      client.send({ path: "/a", options: [uintOption(OPTION.BLOCK2, num * 16 + szx)] });
      await clock.advance(5);
      return client.take();
    };
    expect(findBlock((await ask(0, 2)).options, OPTION.BLOCK2)).toEqual({ num: 0, more: true, szx: 2 });
    expect((await ask(1, 2)).payload).toHaveLength(64);
    expect((await ask(1, 6)).code).toBe(CODE.UNAUTHORIZED);
  });

  test("an error loses its diagnostic message instead", async () => {
    const { clock, peer, unverified } = guardedServer(() => ({
      code: CODE.NOT_FOUND,
      payload: LARGE.subarray(0, 300),
    }));
    const client = peer();
    client.send({ path: "/a" });
    await clock.advance(5);
    expect(client.take()).toMatchObject({ code: CODE.NOT_FOUND, payload: new Uint8Array(0) });
    expect(unverified()).toBe(0);
  });

  test("what cannot be asked twice is answered in blocks that are small enough", async () => {
    let calls = 0;
    const { clock, peer, sent } = guardedServer(() => {
      calls++;
      return { ...content(LARGE), code: CODE.CHANGED };
    });
    const client = peer();
    client.send({ code: METHOD.POST, path: "/a", payload: "do" });
    await clock.advance(5);
    const answer = client.take();
    expect(answer.code).toBe(CODE.CHANGED);
    expect(findBlock(answer.options, OPTION.BLOCK2)?.more).toBe(true);
    expect(sent[0]?.bytes).toBeLessThanOrEqual(136);
    expect(calls).toBe(1);
  });

  test("a slow answer to a stranger is sent once, not repeated until acknowledged", async () => {
    const world = createVirtualWorld();
    const slow = (): Promise<{ code: number; payload: Uint8Array }> =>
      new Promise((resolve) => {
        world.clock.setTimer(1000, () => resolve({ code: CODE.CONTENT, payload: LARGE }));
      });
    const guard = createAmplificationGuard({ clock: world.clock });
    const served = serveEndpoint({ handler: slow, guard }, world);
    const client = served.peer();
    client.send({ path: "/a" });
    await world.clock.advance(100_000);
    expect(client.inbox.map(({ type, code }) => [type, code])).toEqual([
      [ACK, 0],
      [NON, CODE.UNAUTHORIZED],
    ]);
  });

  test("SEC-07 multicast: a large answer to a stranger is not given at all, a small one is", async () => {
    let payload = LARGE;
    const { clock, network, sent, unverified } = guardedServer(() => content(payload));
    const client = network.open("2001:db8::9", 7000);
    const discover = (): void => client.send(Buffer.from("5101000107", "hex"), { address: "ff02::fd", port: 5683 });
    discover();
    await clock.advance(6000);
    expect(sent).toEqual([]);
    expect(unverified()).toBe(1);
    payload = LARGE.subarray(0, 50);
    client.send(Buffer.from("5101000207", "hex"), { address: "ff02::fd", port: 5683 });
    await clock.advance(6000);
    expect(sent).toHaveLength(1);
  });

  test("SEC-07 a stranger becomes no observer, however small the first answer; a forged one costs its victim 28 bytes", async () => {
    let observers = 0;
    const observed: ObservedResource = { next: () => content(LARGE), closed: () => observers-- };
    const attach = (): ObservedResource => {
      observers++;
      return observed;
    };
    const { clock, peer, sent } = guardedServer(() => ({ ...content("small"), observation: { attach } }));
    const victim = peer();
    victim.send({ path: "/a", token: [1], options: REGISTER });
    await clock.advance(300_000);
    expect(observers).toBe(0);
    expect(sent.map(({ bytes }) => bytes)).toEqual([28]);
  });

  test("an observer that proved its address and falls silent is given up after one notification", async () => {
    const ends: string[] = [];
    let wake = (): void => {};
    const { clock, peer, sent } = guardedServer(() => ({
      ...content("small"),
      observation: {
        attach(observer) {
          wake = () => observer.wake();
          return { next: () => content(LARGE.subarray(0, 900)), closed: (reason) => void ends.push(reason) };
        },
      },
    }));
    const client = peer();
    client.send({ path: "/a", token: [1], options: REGISTER });
    await clock.advance(5);
    const echo = echoIn(client.take());
    client.send({ path: "/a", token: [1], options: [...REGISTER, ...(echo === undefined ? [] : [echo])] });
    await clock.advance(5);
    expect(client.take().code).toBe(CODE.CONTENT);
    wake();
    await clock.advance(300_000);
    expect(ends).toEqual(["timeout"]);
    expect(sent.filter(({ bytes }) => bytes > 900)).toHaveLength(5);
  });

  test("SEC-07 20,000 forged lookups bring their victims no more than a challenge each", async () => {
    const { clock, network, endpoint, sent } = guardedServer(() => content(LARGE));
    const request = Buffer.from("440100010a0b0c0db161", "hex");
    const sockets = Array.from({ length: 20 }, (_, index) => network.open(`2001:db8:1::${index}`, 5683));
    for (let index = 0; index < 20_000; index++) {
      request.writeUInt16BE(index, 2);
      sockets[index % sockets.length]?.send(request, endpoint.local);
    }
    await clock.advance(10);
    expect(sent).toHaveLength(20_000);
    expect(sent.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(20_000 * 3.2 * request.length);
  });
});

describe("our own client with a server that asks for Echo", () => {
  function client(handler: RequestHandler, options: Partial<AmplificationGuardOptions> = {}) {
    const served = guardedServer(handler, options);
    const asking = serveEndpoint({}, { ...served, env: served.env }, "2001:db8::c");
    return { ...served, client: asking.endpoint };
  }

  test("LPX-17 a lookup of many blocks is fetched with one challenge", async () => {
    const { clock, client: asking, unverified } = client(() => content(LARGE));
    let body: ClientResponse | undefined;
    void asking.request({ method: METHOD.GET, uri: `${ENDPOINT_URI}/a` }).then((response) => {
      body = response;
    });
    await clock.advance(100);
    expect(body?.payload).toHaveLength(3000);
    expect(unverified()).toBe(1);
  });

  test("LPX-17 an upload of many blocks that is challenged at its end repeats its last block only", async () => {
    const bodies: number[] = [];
    const { clock, client: asking } = client((request: ServerRequest) => {
      if (request.sourceProof !== "fresh") return { code: CODE.UNAUTHORIZED, issuesEcho: true };
      bodies.push(request.payload.length);
      return { code: CODE.CHANGED, issuesEcho: true };
    });
    let answer: ClientResponse | undefined;
    void asking.request({ method: METHOD.POST, uri: `${ENDPOINT_URI}/a`, payload: LARGE }).then((response) => {
      answer = response;
    });
    await clock.advance(100);
    expect(answer?.code).toBe(CODE.CHANGED);
    expect(answer?.echo).toHaveLength(20);
    expect(bodies).toEqual([3000]);
  });

  test("LPX-17 an observation outlives the time for which the address is known, through refreshes and large notifications", async () => {
    let body = LARGE;
    let wake = (): void => {};
    const {
      clock,
      client: asking,
      unverified,
    } = client(
      (request) => ({
        ...content(body),
        ...(request.observe === 0
          ? {
              observation: {
                attach(observer) {
                  let shown = body;
                  wake = () => observer.wake();
                  return {
                    next() {
                      if (shown === body) return null;
                      shown = body;
                      return content(body);
                    },
                  };
                },
              },
            }
          : {}),
      }),
      { verifiedForMs: 10_000, echoLifetimeMs: 5000 },
    );
    const lengths: number[] = [];
    const ends: unknown[] = [];
    const observation = asking.observe(
      { method: METHOD.GET, uri: `${ENDPOINT_URI}/a` },
      {
        onNotification: (response) => lengths.push(response.payload.length),
        onEnd: (reason) => ends.push(reason),
      },
    );
    await clock.advance(100);
    for (let round = 1; round <= 3; round++) {
      await clock.advance(20_000);
      body = Buffer.alloc(3000 + round, "y");
      wake();
      await clock.advance(1000);
      await clock.advance(20_000);
      observation.refresh();
      await clock.advance(1000);
    }
    expect(ends).toEqual([]);
    expect(lengths).toEqual([3000, 3001, 3001, 3002, 3002, 3003, 3003]);
    expect(unverified()).toBeGreaterThan(3);
    observation.cancel();
  });
});
