import { describe, expect, test } from "vitest";
import { blockOption, blockSize, findBlock, findOption } from "./block-option.js";
import { createCoapEndpoint } from "./coap-endpoint.js";
import { CODE, MESSAGE_TYPE, METHOD, OPTION } from "./constants.js";
import type { UdpMessage } from "./message-codec.js";
import { decodeUint, uintOption } from "./option-values.js";
import { silentLogger } from "./system-environment.js";
import type { RawMessage } from "./testing/raw-peer.js";
import { ENDPOINT_ADDRESS, serveEndpoint } from "./testing/served-endpoint.js";
import { createVirtualWorld } from "./testing/virtual-world.js";
import type { ClientRequest, ClientResponse, CoapOption, RequestControl, ServerResponse } from "./types.js";

const { CON, NON, ACK, RST } = MESSAGE_TYPE;
const SERVER = "2001:db8::2";
const URI = `coap://[${SERVER}]/lookup`;

function pattern(length: number, salt = 0): Uint8Array {
  return Uint8Array.from({ length }, (_unused, index) => (index * 31 + (index >> 8) * 7 + salt) & 255);
}

/** An observation, what came of it, and a server that does what the test says. */
async function observing(request: Partial<ClientRequest> = {}, control: Omit<RequestControl, "signal"> = {}) {
  const served = serveEndpoint();
  const server = served.peer(SERVER, 5683);
  const seen: ClientResponse[] = [];
  const ends: unknown[] = [];
  const observation = served.endpoint.observe(
    { method: METHOD.GET, uri: URI, ...request },
    { onNotification: (response) => seen.push(response), onEnd: (reason) => ends.push(reason) },
    control,
  );
  await served.clock.advance(5);
  const registration = server.take();
  const reply = (to: UdpMessage, message: RawMessage = {}): void =>
    server.send({ type: ACK, code: CODE.CONTENT, messageId: to.messageId, token: to.token, ...message });
  /** A notification with this number; `extra` overrides. */
  const notify = async (sequence: number, extra: RawMessage = {}): Promise<void> => {
    const options = [uintOption(OPTION.OBSERVE, sequence), ...(extra.options ?? [])];
    server.send({ type: CON, code: CODE.CONTENT, token: registration.token, ...extra, options });
    await served.clock.advance(5);
  };
  const accept = async (sequence: number, payload: string, extra: readonly CoapOption[] = []): Promise<void> => {
    reply(registration, { payload, options: [uintOption(OPTION.OBSERVE, sequence), ...extra] });
    await served.clock.advance(5);
  };
  const texts = (): string[] => seen.map((response) => Buffer.from(response.payload).toString());
  return { ...served, server, seen, texts, ends, observation, registration, reply, notify, accept };
}

const observeOf = (message: UdpMessage): number | null => {
  const option = findOption(message.options, OPTION.OBSERVE);
  return option === undefined ? null : decodeUint(option.value);
};

describe("RFC 7641 section 3: registering and being notified", () => {
  test("the registration, the first answer, and notifications, each acknowledged", async () => {
    const { server, registration, accept, notify, texts, seen, ends } = await observing({
      accept: 51,
      query: ["href=/*"],
      etags: [Uint8Array.of(7)],
    });
    expect(registration).toMatchObject({ type: CON, code: METHOD.GET });
    expect(registration.options.map((option) => option.number)).toEqual([4, 6, 11, 15, 17]);
    expect(observeOf(registration)).toBe(0);
    await accept(10, "a");
    await notify(11, { messageId: 500, payload: "b" });
    await notify(12, { messageId: 501, type: NON, payload: "c" });
    expect(texts()).toEqual(["a", "b", "c"]);
    expect(seen.map((response) => response.observe)).toEqual([10, 11, 12]);
    expect(server.inbox.map(({ type, messageId }) => [type, messageId])).toEqual([[ACK, 500]]);
    expect(ends).toEqual([]);
  });

  test("OBS-06 stale notifications are acknowledged and not delivered", async () => {
    const { clock, server, accept, notify, texts } = await observing();
    await accept(10, "10");
    await notify(12, { payload: "12" });
    await notify(11, { payload: "11" });
    await notify(12, { payload: "12 again" });
    expect(texts()).toEqual(["10", "12"]);
    expect(server.inbox.map((message) => message.type)).toEqual([ACK, ACK, ACK]);
    await clock.advance(128_001);
    await notify(3, { payload: "after 128 s" });
    expect(texts()).toEqual(["10", "12", "after 128 s"]);
  });

  test("OBS-06 a repeated notification is acknowledged again and delivered once", async () => {
    const { server, accept, notify, texts } = await observing();
    await accept(10, "10");
    for (const _ of [1, 2, 3]) await notify(11, { messageId: 9, payload: "11" });
    expect(texts()).toEqual(["10", "11"]);
    expect(server.inbox.map(({ type, messageId }) => [type, messageId])).toEqual([
      [ACK, 9],
      [ACK, 9],
      [ACK, 9],
    ]);
  });

  test("a first answer that comes twice is delivered once", async () => {
    const { accept, texts } = await observing();
    await accept(10, "10");
    await accept(10, "10");
    expect(texts()).toEqual(["10"]);
  });

  test("a separate first answer", async () => {
    const { clock, server, registration, notify, texts } = await observing();
    server.acknowledge(registration.messageId);
    await clock.advance(1000);
    await notify(1, { payload: "separate" });
    await clock.advance(200_000);
    expect(texts()).toEqual(["separate"]);
  });

  test("a message id equal to one of ours under way is no obstacle to a notification", async () => {
    const { clock, endpoint, server, accept, notify, texts } = await observing();
    await accept(1, "1");
    void endpoint.request({ method: 1, uri: URI }).catch(() => {});
    await clock.advance(5);
    await notify(2, { messageId: server.take().messageId, payload: "2" });
    expect(texts()).toEqual(["1", "2"]);
  });

  test("a notification from another address is rejected and not delivered", async () => {
    const { clock, peer, registration, accept, texts, ends } = await observing();
    await accept(1, "1");
    const forger = peer("2001:db8::bad", 5683);
    const options = [uintOption(OPTION.OBSERVE, 2)];
    forger.send({ type: CON, code: CODE.CONTENT, token: registration.token, options, payload: "forged" });
    await clock.advance(5);
    expect(forger.take().type).toBe(RST);
    expect([texts(), ends]).toEqual([["1"], []]);
  });

  test("a single datagram of 60 kB is taken", async () => {
    const { accept, notify, seen } = await observing();
    await accept(1, "1");
    await notify(2, { payload: pattern(60_000) });
    expect(seen[1]?.payload).toEqual(pattern(60_000));
    expect(seen[1]?.wireBytes).toBeGreaterThan(60_000);
  });

  test("2.03 Valid is delivered as it is", async () => {
    const { clock, registration, reply, seen } = await observing({ etags: [Uint8Array.of(1)] });
    reply(registration, {
      code: CODE.VALID,
      options: [uintOption(OPTION.OBSERVE, 5), { number: OPTION.ETAG, value: Uint8Array.of(1) }],
    });
    await clock.advance(5);
    expect(seen[0]).toMatchObject({ code: CODE.VALID, observe: 5, etag: Uint8Array.of(1) });
  });

  test("LPX-17 a 4.01 with Echo is answered with it, under the same token", async () => {
    const { clock, server, registration, reply, texts } = await observing();
    reply(registration, { code: CODE.UNAUTHORIZED, options: [{ number: OPTION.ECHO, value: Uint8Array.of(9) }] });
    await clock.advance(5);
    const second = server.take();
    expect(second.token).toEqual(registration.token);
    expect(second.messageId).not.toBe(registration.messageId);
    expect(findOption(second.options, OPTION.ECHO)?.value).toEqual(Uint8Array.of(9));
    reply(second, { payload: "ok", options: [uintOption(OPTION.OBSERVE, 1)] });
    await clock.advance(5);
    expect(texts()).toEqual(["ok"]);
  });

  test("a listener that throws is noted in the log and goes on being told", async () => {
    const errors: string[] = [];
    const world = createVirtualWorld({ logger: { ...silentLogger, error: (message) => errors.push(message) } });
    const { clock, endpoint, peer } = serveEndpoint({}, world);
    const server = peer(SERVER, 5683);
    let calls = 0;
    const onNotification = (): void => {
      calls++;
      throw new Error("listener");
    };
    endpoint.observe({ method: METHOD.GET, uri: URI }, { onNotification, onEnd: () => {} });
    await clock.advance(5);
    const { token, messageId } = server.take();
    server.send({ type: ACK, code: CODE.CONTENT, messageId, token, options: [uintOption(OPTION.OBSERVE, 1)] });
    server.send({ type: CON, code: CODE.CONTENT, messageId: 9, token, options: [uintOption(OPTION.OBSERVE, 2)] });
    await clock.advance(5);
    expect(server.take()).toMatchObject({ type: ACK, messageId: 9 });
    expect([calls, errors]).toEqual([2, ["an observation listener failed", "an observation listener failed"]]);
  });
});

describe("the end of an observation", () => {
  test("an answer without Observe is delivered, then it is over", async () => {
    const { clock, registration, reply, texts, ends, notify, server } = await observing();
    reply(registration, { payload: "plain" });
    await clock.advance(5);
    expect([texts(), ends]).toEqual([["plain"], ["not-observable"]]);
    await notify(5, { messageId: 3 });
    expect(server.take()).toMatchObject({ type: RST, messageId: 3 });
  });

  test("an error is delivered, then it is over", async () => {
    const { accept, notify, seen, ends } = await observing();
    await accept(1, "1");
    await notify(2, { code: CODE.NOT_FOUND, options: [] });
    expect(seen.map((response) => response.code)).toEqual([CODE.CONTENT, CODE.NOT_FOUND]);
    expect(ends).toEqual(["error-response"]);
  });

  test("no answer: TIMEOUT", async () => {
    const { clock, ends, server } = await observing();
    await clock.advance(100_000);
    expect(ends).toMatchObject([{ code: "TIMEOUT" }]);
    expect(server.inbox).toHaveLength(4);
    expect(clock.pending).toBe(0);
  });

  test("no answer within timeoutMs: TIMEOUT then", async () => {
    const { clock, ends } = await observing({}, { timeoutMs: 1000 });
    await clock.advance(994);
    expect(ends).toEqual([]);
    await clock.advance(1);
    expect(ends).toMatchObject([{ code: "TIMEOUT" }]);
  });

  test("once answered, silence for days is no end", async () => {
    const { clock, accept, ends } = await observing({}, { timeoutMs: 1000 });
    await accept(1, "1");
    await clock.advance(86_400_000 * 3);
    expect(ends).toEqual([]);
  });

  test("RST to the registration: RESET", async () => {
    const { clock, server, registration, ends } = await observing();
    server.reset(registration.messageId);
    await clock.advance(5);
    expect(ends).toMatchObject([{ code: "RESET" }]);
  });

  test("a critical option that is not understood: rejected, MALFORMED", async () => {
    const { server, accept, notify, ends } = await observing();
    await accept(1, "1");
    await notify(2, { messageId: 8, options: [uintOption(65_001, 1)] });
    expect(server.take()).toMatchObject({ type: RST, messageId: 8 });
    expect(ends).toMatchObject([{ code: "MALFORMED" }]);
  });

  test("a body beyond maxBodyBytes: TOO_LARGE", async () => {
    const { accept, notify, ends, texts } = await observing({}, { maxBodyBytes: 10 });
    await accept(1, "1");
    await notify(2, { payload: pattern(11) });
    expect(ends).toMatchObject([{ code: "TOO_LARGE" }]);
    expect(texts()).toEqual(["1"]);
  });

  test("a URI that cannot be asked: BAD_URI, told after observe returned", async () => {
    const { clock, endpoint } = serveEndpoint();
    const ends: unknown[] = [];
    endpoint.observe({ method: 1, uri: "http://x/" }, { onNotification: () => {}, onEnd: (end) => ends.push(end) });
    expect(ends).toEqual([]);
    await clock.advance(1);
    expect(ends).toMatchObject([{ code: "BAD_URI" }]);
  });

  test("the endpoint is closed: CLOSED", async () => {
    const { clock, endpoint, accept, ends } = await observing();
    await accept(1, "1");
    await endpoint.close();
    expect(ends).toMatchObject([{ code: "CLOSED" }]);
    expect(clock.pending).toBe(0);
  });

  test("OBS-04 close deregisters with the same token; no callback any more", async () => {
    const { clock, server, accept, notify, observation, registration, reply, texts, ends } = await observing();
    await accept(1, "1");
    let isClosed = false;
    void observation.close().then(() => {
      isClosed = true;
    });
    await clock.advance(5);
    const last = server.take();
    expect(last.token).toEqual(registration.token);
    expect(observeOf(last)).toBe(1);
    await notify(2, { messageId: 44, payload: "2" });
    expect(server.take()).toMatchObject({ type: RST, messageId: 44 });
    expect(isClosed).toBe(false);
    reply(last, { payload: "bye" });
    await clock.advance(5);
    expect(isClosed).toBe(true);
    await notify(3, { messageId: 45 });
    expect(server.take()).toMatchObject({ type: RST, messageId: 45 });
    expect([texts(), ends]).toEqual([["1"], []]);
    expect(clock.pending).toBe(0);
  });

  test("close resolves after one timeout when nobody answers", async () => {
    const { clock, accept, observation } = await observing();
    await accept(1, "1");
    let isClosed = false;
    void observation.close().then(() => {
      isClosed = true;
    });
    await clock.advance(2999);
    expect(isClosed).toBe(false);
    await clock.advance(1);
    expect(isClosed).toBe(true);
    expect(clock.pending).toBe(0);
  });

  test("OBS-04 cancel says nothing; later notifications are rejected", async () => {
    const { clock, server, accept, notify, observation, texts, ends } = await observing();
    await accept(1, "1");
    observation.cancel();
    await clock.advance(5);
    expect(server.inbox).toHaveLength(0);
    await notify(2, { messageId: 44 });
    expect(server.take()).toMatchObject({ type: RST, messageId: 44 });
    expect([texts(), ends]).toEqual([["1"], []]);
  });
});

describe("RFC 7641 section 3.3.1: refreshing", () => {
  test("the same token, the ETags held; numbers from a restarted server count as newer", async () => {
    const { clock, server, accept, observation, registration, reply, texts } = await observing();
    await accept(1_000_000, "before");
    observation.refresh([Uint8Array.of(5)]);
    await clock.advance(5);
    const again = server.take();
    expect(again.token).toEqual(registration.token);
    expect([observeOf(again), findOption(again.options, OPTION.ETAG)?.value]).toEqual([0, Uint8Array.of(5)]);
    reply(again, { payload: "after", options: [uintOption(OPTION.OBSERVE, 2)] });
    await clock.advance(5);
    expect(texts()).toEqual(["before", "after"]);
  });

  test("an answer overtaken by a newer notification is not delivered after it", async () => {
    const { clock, server, accept, notify, observation, reply, texts } = await observing();
    await accept(10, "10");
    observation.refresh();
    await clock.advance(5);
    const again = server.take();
    await notify(12, { payload: "12" });
    reply(again, { payload: "11", options: [uintOption(OPTION.OBSERVE, 11)] });
    await clock.advance(5);
    expect(texts()).toEqual(["10", "12"]);
  });

  test("a notification of before does not pass for the answer: no answer ends it", async () => {
    const { clock, accept, notify, observation, texts, ends } = await observing();
    await accept(10, "10");
    observation.refresh();
    await clock.advance(5);
    await notify(11, { payload: "11" });
    await clock.advance(100_000);
    expect(texts()).toEqual(["10", "11"]);
    expect(ends).toMatchObject([{ code: "TIMEOUT" }]);
  });

  test("an answer without Observe: no longer observable", async () => {
    const { clock, server, accept, observation, reply, texts, ends } = await observing();
    await accept(10, "10");
    observation.refresh();
    await clock.advance(5);
    reply(server.take(), { payload: "plain" });
    await clock.advance(5);
    expect([texts(), ends]).toEqual([["10", "plain"], ["not-observable"]]);
  });
});

describe("RFC 7959 section 2.6: notifications larger than a block", () => {
  const SZX = 2;
  function part(body: Uint8Array, num: number, etag: number, observe?: number): RawMessage {
    const size = blockSize(SZX);
    const options: CoapOption[] = [
      blockOption(OPTION.BLOCK2, { num, more: (num + 1) * size < body.length, szx: SZX }),
      { number: OPTION.ETAG, value: Uint8Array.of(etag) },
    ];
    if (observe !== undefined) options.push(uintOption(OPTION.OBSERVE, observe));
    return { options, payload: body.subarray(num * size, (num + 1) * size) };
  }
  const numOf = (message: UdpMessage): number => findBlock(message.options, OPTION.BLOCK2)?.num ?? -1;
  const nextGet = (inbox: UdpMessage[]): UdpMessage => {
    const index = inbox.findIndex((message) => message.code === METHOD.GET);
    const [found] = inbox.splice(index, 1);
    if (index < 0 || found === undefined) throw new Error("no GET");
    return found;
  };

  test("COA-06 the rest is fetched without Observe, with other tokens, and delivered as one", async () => {
    const { clock, server, registration, accept, notify, reply, seen } = await observing();
    await accept(1, "1");
    const body = pattern(200);
    await notify(2, part(body, 0, 1));
    for (const num of [1, 2, 3]) {
      const get = nextGet(server.inbox);
      expect([numOf(get), observeOf(get)]).toEqual([num, null]);
      expect(get.token).not.toEqual(registration.token);
      reply(get, part(body, num, 1));
      await clock.advance(5);
    }
    expect(seen[1]?.payload).toEqual(body);
    expect(seen[1]).toMatchObject({ observe: 2, code: CODE.CONTENT });
  });

  test("a first answer in blocks, too", async () => {
    const { clock, server, registration, reply, seen } = await observing();
    const body = pattern(100);
    reply(registration, part(body, 0, 1, 9));
    await clock.advance(5);
    reply(nextGet(server.inbox), part(body, 1, 1));
    await clock.advance(5);
    expect(seen[0]?.payload).toEqual(body);
    expect(seen[0]?.observe).toBe(9);
  });

  test("COA-06 a newer notification during the fetch supersedes it: never a mixture", async () => {
    const { clock, server, accept, notify, reply, seen } = await observing();
    await accept(1, "1");
    const [one, other] = [pattern(200, 1), pattern(200, 2)];
    await notify(2, part(one, 0, 1));
    const outdated = nextGet(server.inbox);
    await notify(3, part(other, 0, 2));
    reply(outdated, part(one, 1, 1));
    await clock.advance(5);
    for (const num of [1, 2, 3]) {
      const get = nextGet(server.inbox);
      expect(numOf(get)).toBe(num);
      reply(get, part(other, num, 2));
      await clock.advance(5);
    }
    expect(seen.slice(1).map((response) => [response.observe, response.payload])).toEqual([[3, other]]);
  });

  test("COA-06 a small newer notification supersedes it likewise", async () => {
    const { clock, server, accept, notify, reply, texts, ends } = await observing();
    await accept(1, "1");
    await notify(2, part(pattern(200), 0, 1));
    const outdated = nextGet(server.inbox);
    await notify(3, { payload: "small" });
    reply(outdated, part(pattern(200), 1, 1));
    await clock.advance(100_000);
    expect([texts(), ends]).toEqual([["1", "small"], []]);
  });

  test("COA-06 LKP-32 another ETag on the way: fetched anew from the start", async () => {
    const { clock, server, accept, notify, reply, seen } = await observing();
    await accept(1, "1");
    const after = pattern(200, 2);
    await notify(2, part(pattern(200, 1), 0, 1));
    reply(nextGet(server.inbox), part(after, 1, 2));
    await clock.advance(5);
    for (const num of [0, 1, 2, 3]) {
      const get = nextGet(server.inbox);
      expect([numOf(get), observeOf(get)]).toEqual([num, null]);
      reply(get, part(after, num, 2));
      await clock.advance(5);
    }
    expect(seen[1]?.payload).toEqual(after);
  });

  test("COA-06 repeated block responses do no harm", async () => {
    const { clock, server, accept, notify, reply, seen } = await observing();
    await accept(1, "1");
    const body = pattern(200);
    await notify(2, part(body, 0, 1));
    for (const num of [1, 2, 3]) {
      const get = nextGet(server.inbox);
      for (const _ of [1, 2]) reply(get, part(body, num, 1));
      await clock.advance(5);
    }
    expect(seen[1]?.payload).toEqual(body);
  });

  test("a fetch that is not answered ends the observation", async () => {
    const { clock, accept, notify, ends } = await observing();
    await accept(1, "1");
    await notify(2, part(pattern(200), 0, 1));
    await clock.advance(100_000);
    expect(ends).toMatchObject([{ code: "TIMEOUT" }]);
    expect(clock.pending).toBe(0);
  });
});

test("OBS-05 OBS-06 COA-06 over a bad network an observer sees only whole states, ever newer, and in the end the last", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const world = createVirtualWorld({ seed });
    world.network.setConditions({ loss: 0.2, duplication: 0.2, jitterMs: 100 });
    let version = 0;
    let wake = (): void => {};
    const stateOf = (): ServerResponse => ({
      code: CODE.CONTENT,
      payload: pattern(100 + ((version * 977) % 4000), version),
    });
    const server = createCoapEndpoint(
      { env: world.env, socket: world.network.open(SERVER, 5683) },
      {
        parameters: { maxRetransmit: 9 },
        handler: () => ({
          ...stateOf(),
          observation: {
            attach(observer) {
              let told = -1;
              wake = () => observer.wake();
              return {
                next() {
                  if (told === version) return null;
                  told = version;
                  return stateOf();
                },
              };
            },
          },
        }),
      },
    );
    const client = createCoapEndpoint(
      { env: world.env, socket: world.network.open(ENDPOINT_ADDRESS, 0) },
      { parameters: { maxRetransmit: 9 } },
    );
    const versions: number[] = [];
    let isWhole = true;
    client.observe(
      { method: METHOD.GET, uri: URI },
      {
        onNotification({ payload }) {
          const found = Array.from({ length: version + 1 }, (_unused, salt) => salt).find(
            (salt) => Buffer.compare(payload, pattern(100 + ((salt * 977) % 4000), salt)) === 0,
          );
          if (found === undefined) isWhole = false;
          else versions.push(found);
        },
        onEnd: (reason) => versions.push(reason instanceof Error ? Number.NaN : -1),
      },
    );
    for (let step = 0; step < 30; step++) {
      await world.clock.advance(700);
      version++;
      wake();
    }
    await world.clock.runUntil(() => versions.at(-1) === version, 3_600_000);
    expect({ seed, isWhole, last: versions.at(-1) }).toEqual({ seed, isWhole: true, last: version });
    expect(versions).toEqual([...versions].sort((one, other) => one - other));
    await client.close();
    await server.close();
  }
}, 30_000);
