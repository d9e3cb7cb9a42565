import {
  type ClientResponse,
  CODE,
  createAmplificationGuard,
  createCoapEndpoint,
  METHOD,
  type Observer,
  parseDatagram,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";
import { describe, expect, test } from "vitest";
import { MemoryStore } from "../testing/memory-store.js";
import { makeContext, protectedPair } from "../testing/protected-pair.js";
import { protectRequests } from "./client-protection.js";

const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_none, index) => (index * 31) & 255);
const content = (payload: string | Uint8Array): ServerResponse => ({
  code: CODE.CONTENT,
  payload: typeof payload === "string" ? Buffer.from(payload) : payload,
});
const text = ({ payload }: { payload: Uint8Array }): string => Buffer.from(payload).toString();

describe("requests and responses", () => {
  test("the handler sees what was asked and by whom; nobody on the way does", async () => {
    const seen: ServerRequest[] = [];
    const pair = protectedPair((request) => {
      seen.push(request);
      return { code: CODE.CONTENT, contentFormat: 40, etag: Uint8Array.of(1), payload: Buffer.from("secret links") };
    });
    const response = await pair.settled(
      pair.client.request({ method: METHOD.GET, uri: `${pair.uri}/rd-lookup/ep?ep=lamp`, accept: 40 }),
    );
    expect(text(response)).toBe("secret links");
    expect(response.contentFormat).toBe(40);
    expect(seen[0]?.path).toEqual(["rd-lookup", "ep"]);
    expect(seen[0]?.query).toEqual(["ep=lamp"]);
    expect(seen[0]?.peer.identity).toEqual({ kind: "oscore", name: "lamp", names: ["lamp"] });
    const wire = Buffer.concat(pair.datagrams).toString("latin1");
    for (const word of ["rd-lookup", "ep=lamp", "secret"]) expect(wire).not.toContain(word);
  });

  test("an unprotected request has no identity", async () => {
    const pair = protectedPair((request) => content(request.peer.identity?.name ?? "nobody"));
    const response = await pair.settled(pair.plain.request({ method: METHOD.GET, uri: `${pair.uri}/x` }));
    expect(text(response)).toBe("nobody");
  });

  test("bodies of any size go in blocks inside, in both directions", async () => {
    const large = pattern(20_000);
    const pair = protectedPair((request) => ({ code: CODE.CHANGED, payload: request.payload, etag: Uint8Array.of(7) }));
    const response = await pair.settled(
      pair.client.request({ method: METHOD.PUT, uri: `${pair.uri}/x`, payload: large }),
    );
    expect(Buffer.compare(response.payload, large)).toBe(0);
    expect(Math.max(...pair.datagrams.map(({ length }) => length))).toBeLessThan(1152);
  });

  test("encrypted messages go in blocks outside, as proxies divide them (section 4.1.3.4.2)", async () => {
    const large = pattern(3000);
    const bodies: number[] = [];
    const pair = protectedPair((request) => {
      bodies.push(request.payload.length);
      return content(large);
    });
    const context = makeContext("client");
    const { message, binding } = context.protectRequest({
      code: METHOD.PUT,
      options: [{ number: 11, value: Buffer.from("x") }],
      payload: pattern(2000),
    });
    // The client of this test is the proxy: it sends the encrypted message as a body of its own, in blocks.
    const response = await pair.settled(
      pair.plain.request({
        method: METHOD.POST,
        uri: `${pair.uri}/`,
        options: message.options,
        payload: message.payload,
        isRelayed: true,
      }),
    );
    expect(bodies).toEqual([2000]);
    const opened = context.openResponse({ ...response, token: Uint8Array.of(), options: response.options }, binding);
    expect(opened.message.code).toBe(CODE.CONTENT);
  });
});

describe("what is refused (section 8.2)", () => {
  test("other keys: 4.00, and the client says so", async () => {
    const pair = protectedPair(() => content("x"), { client: makeContext("client", { secret: "ff".repeat(16) }) });
    const request = pair.settled(pair.client.request({ method: METHOD.GET, uri: `${pair.uri}/x` }));
    await expect(request).rejects.toThrow("not protected: 4.00 Decryption failed");
    expect(pair.server.counters.rejected.get("oscore-decryption")).toBe(1);
  });

  test("a request that is sent again by somebody else", async () => {
    let handled = 0;
    const pair = protectedPair(() => {
      handled++;
      return content("x");
    });
    await pair.settled(pair.client.request({ method: METHOD.POST, uri: `${pair.uri}/x` }));
    const [recorded] = pair.datagrams;
    const thief = pair.network.open("2001:db8::66", 40_000);
    const answers: Uint8Array[] = [];
    thief.onDatagram = (datagram) => answers.push(datagram);
    thief.send(recorded as Uint8Array, { address: "2001:db8::1", port: 5683 });
    await pair.clock.advance(100);
    const answer = parseDatagram(answers[0] as Uint8Array);
    expect(answer).toMatchObject({ code: CODE.UNAUTHORIZED });
    expect(text(answer as { payload: Uint8Array })).toBe("Replay detected");
    expect(handled).toBe(1);
  });

  test("a response that is not protected, and one to another request", async () => {
    const pair = protectedPair(() => content("x"));
    const liar = createCoapEndpoint(
      { socket: pair.network.open("2001:db8::9", 5683), env: pair.env },
      {
        handler: (): ServerResponse => content("forged"),
        protection: {
          open: () => ({
            kind: "refused",
            response: { code: CODE.CONTENT, options: [], payload: Buffer.from("forged") },
            cause: "test",
          }),
        },
      },
    );
    const request = pair.settled(pair.client.request({ method: METHOD.GET, uri: "coap://[2001:db8::9]/x" }));
    await expect(request).rejects.toMatchObject({ code: "MALFORMED" });
    await liar.close();
  });

  test("a malformed OSCORE option, and an unknown kid", async () => {
    const pair = protectedPair(() => content("x"));
    const ask = (value: Uint8Array) =>
      pair.settled(
        pair.plain.request({
          method: METHOD.POST,
          uri: `${pair.uri}/x`,
          options: [{ number: 9, value }],
          payload: pattern(20),
        }),
      );
    expect((await ask(Uint8Array.of(0xe0))).code).toBe(CODE.BAD_OPTION);
    expect((await ask(Uint8Array.of(0x09, 5, 1))).code).toBe(CODE.BAD_REQUEST);
  });
});

describe("after a restart (appendix B.1.2)", () => {
  test("a recorded request has no effect, and a genuine client proves that it is fresh", async () => {
    let handled = 0;
    const store = new MemoryStore();
    const pair = protectedPair(
      () => {
        handled++;
        return content("done");
      },
      { server: makeContext("server", { store }) },
    );
    await pair.settled(pair.client.request({ method: METHOD.POST, uri: `${pair.uri}/x` }));
    const [recorded] = pair.datagrams;
    expect(store.state?.received).toBe("unknown");
    pair.restart(store);
    const thief = pair.network.open("2001:db8::66", 40_000);
    const answers: Uint8Array[] = [];
    thief.onDatagram = (datagram) => answers.push(datagram);
    thief.send(recorded as Uint8Array, { address: "2001:db8::1", port: 5683 });
    await pair.clock.advance(100);
    expect(handled).toBe(1);
    expect(answers).toHaveLength(1);
    const response = await pair.settled(pair.client.request({ method: METHOD.POST, uri: `${pair.uri}/x` }));
    expect(text(response)).toBe("done");
    expect(handled).toBe(2);
    thief.send(recorded as Uint8Array, { address: "2001:db8::1", port: 5683 });
    await pair.clock.advance(300_000);
    expect(handled).toBe(2);
  });

  test("no sequence number is used twice", async () => {
    const store = new MemoryStore();
    const used = new Set<string>();
    for (let run = 0; run < 3; run++) {
      const context = makeContext("client", { store });
      for (let index = 0; index < 700; index++) {
        const { binding } = context.protectRequest({ code: METHOD.GET, options: [], payload: new Uint8Array(0) });
        const number = Buffer.from(binding.partialIv).toString("hex");
        expect(used.has(number)).toBe(false);
        used.add(number);
      }
    }
    expect(store.saves).toBeLessThanOrEqual(6);
  });
});

describe("observation (section 4.1.3.5)", () => {
  /** A resource that changes, and what an observer of it sees. */
  function observed(options: Parameters<typeof protectedPair>[1] = {}) {
    const observers = new Set<Observer>();
    const ends: string[] = [];
    let state: string | Uint8Array = "0";
    const pair = protectedPair(
      () => ({
        ...content(state),
        observation: {
          attach(observer) {
            observers.add(observer);
            let shown = state;
            return {
              next() {
                if (shown === state) return null;
                shown = state;
                return content(state);
              },
              closed(reason) {
                observers.delete(observer);
                ends.push(reason);
              },
            };
          },
        },
      }),
      options,
    );
    const seen: ClientResponse[] = [];
    const over: unknown[] = [];
    const observation = pair.client.observe(
      { method: METHOD.GET, uri: `${pair.uri}/x` },
      { onNotification: (response) => seen.push(response), onEnd: (reason) => over.push(reason) },
    );
    const change = async (to: string | Uint8Array): Promise<void> => {
      state = to;
      for (const observer of observers) observer.wake();
      await pair.clock.advance(1000);
    };
    return { ...pair, observers, ends, seen, over, observation, change };
  }

  test("notifications arrive in order, large ones in blocks, and end with the observation", async () => {
    const world = observed();
    await world.clock.advance(100);
    await world.change("1");
    await world.change(pattern(5000));
    await world.change("3");
    expect(world.seen.map(({ payload }) => payload.length)).toEqual([1, 1, 5000, 1]);
    expect(text(world.seen[3] as ClientResponse)).toBe("3");
    await world.settled(world.observation.close());
    expect(world.ends).toEqual(["deregistered"]);
    expect(world.over).toEqual([]);
  });

  test("a notification that is sent again later is not taken", async () => {
    const world = observed();
    await world.clock.advance(100);
    const before = world.datagrams.length;
    await world.change("1");
    const recorded = world.datagrams.slice(before).find((datagram) => datagram.length > 12) as Uint8Array;
    await world.change("2");
    const forged = Uint8Array.from(recorded);
    forged[2] = 0x77; // another message id, so that it is no duplicate
    world.serverSocket.send(forged, { address: "2001:db8::2", port: 40_000 });
    await world.clock.advance(1000);
    expect(world.seen.map(text)).toEqual(["0", "1", "2"]);
  });

  test("an observer that is gone is forgotten", async () => {
    const world = observed();
    await world.clock.advance(100);
    expect(world.observers.size).toBe(1);
    world.observation.cancel();
    await world.change("1");
    expect(world.observers.size).toBe(0);
    expect(world.ends).toEqual(["reset"]);
  });
});

test("a large response to an address that is not proven is challenged inside (RFC 9175 section 2.4)", async () => {
  const guard = createAmplificationGuard({ clock: { nowMs: () => 0, setTimer: () => ({ cancel() {} }) } as never });
  const pair = protectedPair(() => content(pattern(900)), { serverOptions: { guard } });
  const response = await pair.settled(pair.client.request({ method: METHOD.GET, uri: `${pair.uri}/x` }));
  expect(response.payload.length).toBe(900);
  const [request, challenge] = pair.datagrams as [Uint8Array, Uint8Array];
  expect(challenge.length).toBeLessThanOrEqual(Math.max(136, 3 * request.length));
});

test("requests to the sender of a protected request are protected as well", async () => {
  let asked: Promise<ClientResponse> | undefined;
  const pair = protectedPair((request) => {
    const { peer } = request;
    asked = request.askPeer?.(peer, {
      method: METHOD.GET,
      uri: `coap://[${peer.address}]:${peer.port}/.well-known/core`,
    });
    asked?.catch(() => {});
    return content("x");
  });
  await pair.settled(pair.client.request({ method: METHOD.POST, uri: `${pair.uri}/.well-known/rd` }));
  await expect(pair.settled(asked as Promise<ClientResponse>)).rejects.toBeDefined();
  expect(Buffer.concat(pair.datagrams).toString("latin1")).not.toMatch(/well-known|core/);
});

test("protection leaves the channel as it is where it cannot encrypt any more", async () => {
  const exhausted = makeContext("client", { store: new MemoryStore({ nextToSend: 2 ** 40, received: "unknown" }) });
  const pair = protectedPair(() => content("x"), { client: exhausted });
  const request = pair.settled(pair.client.request({ method: METHOD.GET, uri: `${pair.uri}/x` }));
  await expect(request).rejects.toThrow("sequence numbers are used");
  expect(protectRequests(exhausted)).toBeTypeOf("function");
});
