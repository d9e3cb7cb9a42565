import { describe, expect, test } from "vitest";
import { blockOption, blockSize, findBlock } from "../message/block-option.js";
import { CODE, METHOD, OPTION } from "../message/codes.js";
import { uintOption } from "../message/option-values.js";
import { observeOf, observing, pattern, SERVER, URI } from "../testing/observing-client.js";
import type { RawMessage } from "../testing/raw-peer.js";
import { ENDPOINT_ADDRESS } from "../testing/served-endpoint.js";
import { createVirtualWorld } from "../testing/virtual-world.js";
import type { CoapOption, ServerResponse } from "../types.js";
import { createCoapEndpoint } from "../udp/endpoint.js";
import type { UdpMessage } from "../udp/message-codec.js";

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

  test("in a series, one that arrives during the fetch waits for it, and both are delivered in order", async () => {
    const { clock, server, accept, notify, reply, seen, texts } = await observing({}, { isSeries: true });
    await accept(1, "1");
    const body = pattern(100);
    await notify(2, part(body, 0, 1));
    await notify(3, { payload: "next" });
    expect(texts()).toEqual(["1"]);
    reply(nextGet(server.inbox), part(body, 1, 1));
    await clock.advance(5);
    expect(seen.slice(1).map((response) => response.observe)).toEqual([2, 3]);
    expect(seen[1]?.payload).toEqual(body);
    await notify(4, { payload: "last" });
    expect(texts().slice(2)).toEqual(["next", "last"]);
  });

  test("in a series, more than a few that wait take the place of what is fetched", async () => {
    const { clock, server, accept, notify, texts, ends } = await observing({}, { isSeries: true });
    await accept(1, "1");
    await notify(2, part(pattern(100), 0, 1));
    for (let sequence = 3; sequence < 9; sequence++) await notify(sequence, { payload: String(sequence) });
    await clock.advance(100_000);
    expect(server.inbox.filter(({ code }) => code === METHOD.GET).length).toBeGreaterThan(0);
    expect([texts(), ends]).toEqual([["1", "7", "8"], []]);
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

  test("COA-06 LKP-32 another ETag on the way: fetched again from the start", async () => {
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
              let shown = -1;
              wake = () => observer.wake();
              return {
                next() {
                  if (shown === version) return null;
                  shown = version;
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
