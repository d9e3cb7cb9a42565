import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CODE, METHOD } from "../message/codes.js";
import { hello, later, text } from "../testing/greeting-server.js";
import { serveStreams, STREAM_URI as URI } from "../testing/streamed-server.js";
import type { ClientResponse, CoapClient, ObservedResource, Observer, RequestHandler } from "../types.js";
import { encodeFrame, StreamParser } from "./framing.js";

const GET = { method: METHOD.GET, uri: URI };

/** A resource whose state is a number, written in `bytes` bytes. */
function countingResource(bytes = 10) {
  let state = 0;
  const observers = new Set<Observer>();
  const ends: string[] = [];
  let shown = 0;
  const show = () => ({ code: CODE.CONTENT, payload: Buffer.from(String(state).padStart(bytes)) });
  const handler: RequestHandler = ({ observe }) => {
    if (observe !== 0) return show();
    const attach = (observer: Observer): ObservedResource => {
      observers.add(observer);
      let last = state;
      return {
        next() {
          if (last === state) return null;
          last = state;
          shown++;
          return show();
        },
        closed(reason) {
          observers.delete(observer);
          ends.push(reason);
        },
      };
    };
    return { ...show(), observation: { attach } };
  };
  const set = (value: number): void => {
    state = value;
    for (const observer of observers) observer.wake();
  };
  return { handler, set, ends, observers, shown: () => shown };
}

function watch(client: CoapClient) {
  const seen: number[] = [];
  const ended: unknown[] = [];
  const observation = client.observe(GET, {
    onNotification: (response: ClientResponse) => void seen.push(Number(text(response.payload))),
    onEnd: (reason) => void ended.push(reason),
  });
  return { seen, ended, observation };
}

describe("a listener that is busy", () => {
  /** Observes a resource with long states, with a listener that takes one at a time. */
  async function watchSlowly() {
    const { handler, set, shown, ends } = countingResource(50_000);
    const { openClient, clock } = serveStreams(handler);
    const { client } = openClient();
    const seen: number[] = [];
    let settle: () => void = () => {};
    client.observe(GET, {
      onNotification: ({ payload }: ClientResponse) => {
        seen.push(Number(text(payload)));
        return new Promise<void>((resolve) => {
          settle = resolve;
        });
      },
      onEnd: () => {},
    });
    await clock.advance(100);
    return { client, clock, seen, set, shown, ends, settle: () => settle() };
  }

  test("has the peer wait: it gets one notification at a time, and the last state in the end", async () => {
    const { clock, seen, set, shown, settle } = await watchSlowly();
    expect(seen).toEqual([0]);
    for (let state = 1; state <= 1000; state++) {
      set(state);
      await clock.advance(5);
    }
    expect(seen).toEqual([0]);
    expect(shown()).toBeLessThan(100);
    for (let count = 0; count < 200 && seen.at(-1) !== 1000; count++) {
      settle();
      await clock.advance(10);
    }
    expect(seen.at(-1)).toBe(1000);
    expect(seen.length).toBeLessThan(102);
  });

  test("does not lose the peer, and requests go on afterwards", async () => {
    const { client, clock, seen, ends, set, settle } = await watchSlowly();
    await clock.advance(600_000);
    expect(ends).toEqual([]);
    const answer = client.request(GET);
    await clock.advance(10);
    settle();
    await clock.advance(100);
    expect((await answer).code).toBe(CODE.CONTENT);
    set(7);
    await clock.advance(100);
    settle();
    await clock.advance(100);
    expect(seen.at(-1)).toBe(7);
  });

  test("that fails is reported, and does not hold the peer for good", async () => {
    const { handler, set } = countingResource();
    const { openClient, clock } = serveStreams(handler);
    const { client } = openClient();
    const seen: number[] = [];
    client.observe(GET, {
      onNotification: ({ payload }: ClientResponse) => {
        seen.push(Number(text(payload)));
        return Promise.reject(new Error("a mistake"));
      },
      onEnd: () => {},
    });
    await clock.advance(100);
    set(3);
    await clock.advance(100);
    expect(seen).toEqual([0, 3]);
  });
});

describe("requests over a byte stream", () => {
  test("many at once share one connection", async () => {
    const { openClient, clock, server } = serveStreams(async ({ path }) => ({
      ...hello(),
      payload: Buffer.from(path.join()),
    }));
    const { client } = openClient();
    const answers = Promise.all(
      Array.from({ length: 500 }, (_, index) => client.request({ ...GET, uri: `${URI}/${index}` })),
    );
    await clock.advance(500);
    expect((await answers).map(({ payload }) => Number(text(payload)))).toEqual(
      Array.from({ length: 500 }, (_, index) => index),
    );
    expect(server.tableSizes().connections).toBe(1);
  });

  test("COA-08 a body beyond a message goes up and comes down in BERT blocks", async () => {
    const body = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 251));
    const handler: RequestHandler = ({ payload }) => ({ code: CODE.CHANGED, payload });
    const { openClient, clock, counters } = serveStreams(handler, {
      limits: { maxRequestBytes: 300_000 },
      streamLimits: { maxMessageBytes: 40_000 },
    });
    const answer = openClient().client.request({ method: METHOD.POST, uri: URI, payload: body });
    await clock.advance(1000);
    expect(Buffer.compare((await answer).payload, body)).toBe(0);
    // 38 kB a block: six up, the last of which brings the first down, and five more.
    expect(counters.received).toBe(1 + 6 + 5);
  });

  test("a body beyond what the server takes at all: 4.13 with its limit", async () => {
    const { openClient, clock } = serveStreams(hello, { limits: { maxRequestBytes: 1000 } });
    const answer = openClient().client.request({ method: METHOD.POST, uri: URI, payload: new Uint8Array(90_000) });
    await clock.advance(1000);
    expect((await answer).code).toBe(CODE.REQUEST_ENTITY_TOO_LARGE);
  });

  test("nobody listens: UNREACHABLE; nobody answers: UNREACHABLE after 10 s", async () => {
    const { openClient, clock, stop, streams } = serveStreams(hello);
    const { client } = openClient();
    stop();
    const refused = expect(client.request(GET)).rejects.toMatchObject({ code: "UNREACHABLE" });
    await clock.advance(10);
    await refused;
    streams.listen({ address: "2001:db8::1", port: 5683 }, () => {}); // taken, and never a CSM
    const silent = expect(client.request(GET)).rejects.toMatchObject({ code: "UNREACHABLE" });
    await clock.advance(10_010);
    await silent;
  });

  test("a cut connection fails what is under way with UNREACHABLE, ends observations, and the next request makes another connection", async () => {
    const { openClient, clock, streams } = serveStreams(async ({ path }) => {
      if (path.length > 0) await later(1000, clock);
      return { ...hello(), observation: { attach: () => ({ next: () => null }) } };
    });
    const { client } = openClient();
    const { ended } = watch(client);
    const failing = expect(client.request({ ...GET, uri: `${URI}/slow` })).rejects.toMatchObject({
      code: "UNREACHABLE",
    });
    await clock.advance(100);
    streams.cutAll();
    await failing;
    expect(ended).toMatchObject([{ code: "UNREACHABLE" }]);
    const again = client.request(GET);
    await clock.advance(10);
    expect((await again).code).toBe(CODE.CONTENT);
  });

  test.each([
    {
      name: "silent for its whole time: the connection is given up",
      busyMs: 0,
      hasPower: false,
      timeoutMs: 3000,
      rejected: 1,
    },
    { name: "silent for a moment: it is kept", busyMs: 0, hasPower: false, timeoutMs: 500, rejected: 0 },
    { name: "slow, but heard of meanwhile: it is kept", busyMs: 60_000, hasPower: true, timeoutMs: 3000, rejected: 0 },
  ])("a request that times out at a peer that is $name", async ({ busyMs, hasPower, timeoutMs, rejected }) => {
    let isBusy = false;
    const resource = countingResource();
    const served = serveStreams((request) => {
      if (isBusy && request.path[0] === "slow") return later(busyMs, served.clock).then(hello);
      return resource.handler(request);
    });
    const { clock, streams } = served;
    const { client, counters } = served.openClient();
    watch(client);
    await clock.advance(100);
    isBusy = true;
    if (!hasPower) streams.crash("2001:db8::1", true);
    const slow = client.request({ ...GET, uri: `${URI}/slow` }, { timeoutMs }).catch(({ code }) => code);
    if (hasPower) for (let value = 1; value <= 10; value++) clock.setTimer(value * 250, () => resource.set(value));
    await clock.advance(timeoutMs + 100);
    expect(await slow).toBe("TIMEOUT");
    expect(counters.rejected.get("silent") ?? 0).toBe(rejected);
  });

  test("a half-open connection is noticed by the keep-alive of an observing client", async () => {
    const { openClient, clock, streams } = serveStreams(countingResource().handler);
    const { ended, seen } = watch(openClient().client);
    await clock.advance(100);
    expect(seen).toEqual([0]);
    streams.silenceAll();
    await clock.advance(50_000);
    expect(ended).toEqual([]);
    await clock.advance(30_000);
    expect(ended).toMatchObject([{ code: "UNREACHABLE" }]);
  });

  test("a quiet observation that is answered by Pong lives on", async () => {
    const resource = countingResource();
    const { openClient, clock } = serveStreams(resource.handler);
    const { ended, seen } = watch(openClient().client);
    await clock.advance(3_600_000);
    resource.set(5);
    await clock.advance(10);
    expect([seen, ended]).toEqual([[0, 5], []]);
  });

  test("closing fails what is under way with CLOSED", async () => {
    const { openClient, clock } = serveStreams(() => new Promise(() => {}));
    const { client } = openClient();
    const failing = expect(client.request(GET)).rejects.toMatchObject({ code: "CLOSED" });
    await clock.advance(10);
    await client.close();
    await failing;
  });
});

describe("RFC 8323 appendix A: observation", () => {
  test("every state that there is time to tell arrives in order; close and cancel deregister", async () => {
    const resource = countingResource();
    const { openClient, clock } = serveStreams(resource.handler);
    const { client } = openClient();
    const [one, two] = [watch(client), watch(client)];
    await clock.advance(10);
    for (let state = 1; state <= 100; state++) {
      resource.set(state);
      await clock.advance(1);
    }
    await clock.advance(10);
    expect(one.seen).toEqual(Array.from({ length: 101 }, (_, index) => index));
    const closing = one.observation.close();
    await clock.advance(10);
    await closing;
    two.observation.cancel();
    await clock.advance(10);
    expect(resource.ends).toEqual(["deregistered", "deregistered"]);
  });

  test("Observe values that are empty, or go backwards, do not matter: the order is that of the stream", async () => {
    const { openClient, clock, stop, streams } = serveStreams(hello);
    stop();
    const observe = (...value: number[]) => ({ number: 6, value: Uint8Array.from(value) });
    streams.listen({ address: "2001:db8::1", port: 5683 }, (socket) => {
      const say = (token: Uint8Array, state: number, option: ReturnType<typeof observe>) =>
        socket.write(
          encodeFrame(token, { code: CODE.CONTENT, options: [option], payload: Buffer.from(String(state)) }),
        );
      const parser = new StreamParser({ maxMessageBytes: 10_000 });
      socket.onBytes = (bytes) => {
        parser.push(bytes);
        for (let next = parser.next(); next !== null && typeof next === "object"; next = parser.next()) {
          if (next.code !== METHOD.GET) continue;
          for (const [state, value] of [[9], [], [], [5], [200], [4]].entries())
            say(next.token, state, observe(...value));
        }
      };
      socket.write(Buffer.from("00e1", "hex"));
    });
    const { seen, ended } = watch(openClient().client);
    await clock.advance(20);
    expect([seen, ended]).toEqual([[0, 1, 2, 3, 4, 5], []]);
  });

  test("an idle client lets its connection go before the server does, and makes another when needed", async () => {
    const { openClient, clock, server } = serveStreams(hello);
    const { client, counters } = openClient();
    const ask = async () => {
      const answer = client.request(GET);
      await clock.advance(10);
      return (await answer).code;
    };
    expect(await ask()).toBe(CODE.CONTENT);
    await clock.advance(224_000);
    expect(server.tableSizes().connections).toBe(1);
    await clock.advance(20_000);
    expect(server.tableSizes().connections).toBe(0);
    expect(await ask()).toBe(CODE.CONTENT);
    expect(counters.sent).toBe(5); // CSM, GET, Release; CSM, GET
  });

  test("an observer that reads slowly costs bounded memory and gets the newest state in the end", async () => {
    const resource = countingResource(10_000);
    const {
      clock,
      rawPeer,
      streams: _streams,
      errors,
    } = serveStreams(resource.handler, { streamLimits: { maxQueuedBytes: 100_000 } });
    const opening = rawPeer();
    await clock.advance(5);
    const peer = await opening;
    peer.send(new Uint8Array(), { code: 225, options: [{ number: 2, value: Uint8Array.of(1, 0, 0, 0) }] });
    peer.send(Uint8Array.of(1), { code: METHOD.GET, options: [{ number: 6, value: new Uint8Array() }] });
    await clock.advance(50);
    peer.socket.pause();
    for (let state = 1; state <= 1000; state++) {
      resource.set(state);
      await clock.advance(1);
    }
    expect(peer.socket.other.queuedBytes).toBeLessThan(120_000);
    expect(resource.shown()).toBeLessThan(20);
    peer.socket.resume();
    await clock.advance(100);
    const states = peer.take().flatMap(({ code, payload }) => (code === CODE.CONTENT ? [Number(text(payload))] : []));
    expect(states.at(-1)).toBe(1000);
    expect(states.length).toBeLessThan(21);
    expect(errors).toEqual([]);
  });

  test("whatever happens to connections, observers see only whole states, ever newer, and after reconnecting the last", async () => {
    const event = fc.record({ wait: fc.nat(50), cut: fc.integer({ min: 0, max: 9 }).map((die) => die === 0) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { minLength: 5, maxLength: 30 }),
        fc.nat(),
        fc.integer({ min: 1, max: 3000 }),
        async (events, seed, piece) => {
          const resource = countingResource(5000);
          const { openClient, clock, streams, errors } = serveStreams(resource.handler, { seed, maxPieceBytes: piece });
          const { client } = openClient();
          const seen: number[] = [];
          const observe = (): void => {
            client.observe(GET, {
              onNotification: ({ payload }) =>
                void seen.push(payload.length === 5000 ? Number(text(payload)) : Number.NaN),
              onEnd: () => void clock.setTimer(5, observe),
            });
          };
          observe();
          for (const [index, { wait, cut }] of events.entries()) {
            resource.set(index + 1);
            await clock.advance(wait);
            if (cut) streams.cutAll();
          }
          await clock.advance(1000);
          expect(seen).toEqual([...seen].sort((one, other) => one - other));
          expect(seen.at(-1)).toBe(events.length);
          expect(errors).toEqual([]);
          await client.close();
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("hostile streams", () => {
  test("mutated and made-up streams, cut anywhere: no crash, nothing logged as an error, others are served", async () => {
    const resource = countingResource(3000);
    const served = serveStreams(resource.handler, { limits: { maxObservers: 20, maxTransfers: 20 } });
    const { clock, rawPeer, openClient, errors, server } = served;
    const valid = Buffer.from("20e12102c0" + "4301016061b17811170d" + "01e207" + "2201086178c2276a", "hex");
    const mutation = fc.record({ at: fc.nat(valid.length - 1), byte: fc.nat(255) });
    const stream = fc.oneof(
      fc.array(mutation, { maxLength: 5 }).map((changes) => {
        const bytes = Buffer.concat([Buffer.from("00e1", "hex"), valid]);
        for (const { at, byte } of changes) bytes[at + 2] = byte;
        return bytes;
      }),
      fc.uint8Array({ maxLength: 200 }).map((noise) => Buffer.concat([Buffer.from("00e1", "hex"), noise])),
      fc.uint8Array({ maxLength: 100 }),
    );
    await fc.assert(
      fc.asyncProperty(stream, fc.boolean(), async (bytes, isCut) => {
        const opening = rawPeer();
        await clock.advance(1);
        const peer = await opening;
        peer.socket.write(bytes);
        await clock.advance(3);
        resource.set(clock.nowMs());
        if (isCut) peer.socket.destroy();
        else peer.socket.end();
        await clock.advance(3);
        expect(errors).toEqual([]);
      }),
      { numRuns: 2000 },
    );
    await clock.advance(10_000);
    expect(server.tableSizes()).toMatchObject({ connections: 0, observers: 0, uploads: 0, "retained-bodies": 0 });
    const answer = openClient().client.request(GET);
    await clock.advance(20);
    expect((await answer).code).toBe(CODE.CONTENT);
  });

  test("a server that answers a client with noise: requests fail or wait, nothing crashes", async () => {
    const { openClient, clock, streams, stop, errors } = serveStreams(hello);
    stop();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async (noise) => {
        const unlisten = streams.listen({ address: "2001:db8::1", port: 5683 }, (socket) => {
          socket.write(Buffer.concat([Buffer.from("00e1", "hex"), noise]));
        });
        const { client } = openClient();
        const outcome = client.request(GET, { timeoutMs: 50 }).catch((error: { code: string }) => error.code);
        await clock.advance(100);
        expect(await outcome).toBeDefined();
        await client.close();
        unlisten();
        expect(errors).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
