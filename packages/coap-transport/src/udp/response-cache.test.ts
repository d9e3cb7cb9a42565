import { describe, expect, test } from "vitest";
import { CODE, METHOD, OPTION } from "../message/codes.js";
import { createAmplificationGuard } from "../server/amplification-guard.js";
import { ACK, NON, text } from "../testing/greeting-server.js";
import { serveEndpoint } from "../testing/served-endpoint.js";
import { createVirtualWorld } from "../testing/virtual-world.js";
import type { ResponseValidity } from "../types.js";

/** Answers that say how often the handler was asked, and hold until the test ends them. */
function serveCacheable({
  maxCachedResponses = 100,
  freeBytes = undefined as number | undefined,
  answer = "answer ",
} = {}) {
  const lives: { validity: ResponseValidity; hits: number; ended: number; isStale: boolean; isFresh: boolean }[] = [];
  let calls = 0;
  const begin = (): ResponseValidity => {
    const one = { hits: 0, ended: 0, isStale: false, isFresh: true } as (typeof lives)[number];
    one.validity = {
      get isStale() {
        return one.isStale;
      },
      isFresh: () => one.isFresh,
      noteHit: () => void one.hits++,
      dispose: () => void one.ended++,
    };
    lives.push(one);
    return one.validity;
  };
  const world = createVirtualWorld();
  const served = serveEndpoint(
    {
      handler: ({ query }) => ({
        code: CODE.CONTENT,
        contentFormat: 40,
        etag: Uint8Array.of(7, 7),
        payload: Buffer.from(`${answer}${++calls}${query.join("&")}`),
        trackValidity: begin,
      }),
      limits: { maxCachedResponses },
      ...(freeBytes === undefined
        ? {}
        : { guard: createAmplificationGuard({ clock: world.clock }, { freeBytes, isTrusted: () => false }) }),
    },
    world,
  );
  const client = served.peer();
  /** The same request so many times; what the answers say. */
  const ask = async (count: number, message: Parameters<typeof client.send>[0] = {}, from = client) => {
    const texts: string[] = [];
    for (let index = 0; index < count; index++) {
      from.send({ path: "/rd-lookup/ep", query: ["ep=n"], token: [index, 9], ...message });
      await served.clock.advance(10);
      texts.push(...from.inbox.splice(0).map(({ payload }) => text(payload)));
    }
    return texts;
  };
  return { ...served, client, ask, lives, calls: () => calls };
}

describe("the same request again", () => {
  test("COA-01 from the third time on the answer comes without asking the handler", async () => {
    const { ask, calls, lives } = serveCacheable();
    expect(await ask(5)).toEqual(["answer 1ep=n", ...Array(4).fill("answer 2ep=n")]);
    expect(calls()).toBe(2);
    expect(lives.map(({ hits }) => hits)).toEqual([3]);
  });

  test("it is the answer to this request: acknowledged, with its token, and every option", async () => {
    const { ask, client, clock } = serveCacheable();
    await ask(2);
    for (const token of [[], [1], [1, 2, 3, 4, 5, 6, 7, 8]]) {
      client.send({ path: "/rd-lookup/ep", query: ["ep=n"], token, messageId: 0xabcd });
      await clock.advance(10);
      const { type, code, messageId, options, ...answer } = client.take();
      expect({ type, code, messageId, token: [...answer.token] }).toEqual({
        type: ACK,
        code: CODE.CONTENT,
        messageId: 0xabcd,
        token,
      });
      expect(options.map(({ number, value }) => [number, ...value])).toEqual([
        [OPTION.ETAG, 7, 7],
        [OPTION.CONTENT_FORMAT, 40],
      ]);
    }
  });

  test("another client gets it as well", async () => {
    const { ask, peer, calls } = serveCacheable();
    await ask(3);
    expect(await ask(1, {}, peer("2001:db8::77", 5))).toEqual(["answer 2ep=n"]);
    expect(calls()).toBe(2);
  });

  test.each([
    { name: "another query", message: { query: ["ep=m"] } },
    { name: "another order of options with the same number", message: { query: ["d=f", "ep=n"] } },
    { name: "an option more", message: { options: [{ number: OPTION.ACCEPT, value: Uint8Array.of(40) }] } },
    { name: "a longer path", message: { path: "/rd-lookup/ep/" } },
  ])("$name is another request", async ({ message }) => {
    const { ask, calls } = serveCacheable();
    await ask(3);
    await ask(1, message);
    expect(calls()).toBe(3);
  });

  test.each([
    { name: "Observe", options: [{ number: OPTION.OBSERVE, value: new Uint8Array() }] },
    { name: "the size of blocks", options: [{ number: OPTION.BLOCK2, value: Uint8Array.of(2) }] },
    { name: "an Echo value", options: [{ number: OPTION.ECHO, value: Uint8Array.of(1, 2) }] },
    { name: "No-Response", options: [{ number: OPTION.NO_RESPONSE, value: Uint8Array.of(2) }] },
  ])("what has $name is asked every time", async ({ options }) => {
    const { ask, calls } = serveCacheable();
    await ask(4, { options });
    expect(calls()).toBe(4);
  });

  test("non-confirmable requests and other methods are asked every time", async () => {
    const { ask, calls } = serveCacheable();
    await ask(3, { type: NON });
    await ask(3, { code: METHOD.FETCH });
    expect(calls()).toBe(6);
  });
});

describe("how long", () => {
  test("until it is over: then the handler is asked, and the answer stored again", async () => {
    const { ask, lives, calls } = serveCacheable();
    await ask(3);
    Object.assign(lives[0] as object, { isStale: true });
    expect(await ask(2)).toEqual(["answer 3ep=n", "answer 3ep=n"]);
    expect(calls()).toBe(3);
    expect(lives.map(({ ended }) => ended)).toEqual([1, 0]);
  });

  test("not at moments when it does not hold", async () => {
    const { ask, lives } = serveCacheable();
    await ask(3);
    Object.assign(lives[0] as object, { isFresh: false });
    expect(await ask(1)).toEqual(["answer 3ep=n"]);
  });

  test("a closed endpoint ends them all", async () => {
    const { ask, lives, endpoint } = serveCacheable();
    await ask(3);
    await endpoint.close();
    expect(lives.map(({ ended }) => ended)).toEqual([1]);
  });
});

describe("bounds", () => {
  test("what was not asked for again makes room, and what was asked for stays", async () => {
    const { ask, endpoint, calls } = serveCacheable({ maxCachedResponses: 4 });
    for (let index = 0; index < 40; index++) {
      await ask(2, { query: ["ep=often"] });
      await ask(2, { query: [`ep=${index}`] });
    }
    expect(endpoint.tableSizes().answers).toBe(4);
    const before = calls();
    await ask(10, { query: ["ep=often"] });
    expect(calls()).toBe(before);
  });

  test("with none allowed none is kept", async () => {
    const { ask, endpoint, calls } = serveCacheable({ maxCachedResponses: 0 });
    await ask(5);
    expect(calls()).toBe(5);
    expect(endpoint.tableSizes().answers).toBe(0);
  });

  test("SEC-07 a large answer still goes to proven addresses alone", async () => {
    const { ask, client, clock, calls, peer } = serveCacheable({ freeBytes: 40, answer: "x".repeat(200) });
    client.send({ path: "/rd-lookup/ep", query: ["ep=n"] });
    await clock.advance(10);
    const challenge = client.take();
    expect(challenge.code).toBe(CODE.UNAUTHORIZED);
    const echo = challenge.options.filter(({ number }) => number === OPTION.ECHO);
    client.send({ path: "/rd-lookup/ep", query: ["ep=n"], options: echo });
    await clock.advance(10);
    client.inbox.length = 0;
    const texts = await ask(4);
    expect(texts.every((one) => one.startsWith("xxx"))).toBe(true);
    const before = calls();
    expect(await ask(2)).toHaveLength(2);
    expect(calls(), "it is remembered for the proven one").toBe(before);
    const stranger = peer("2001:db8::77");
    stranger.send({ path: "/rd-lookup/ep", query: ["ep=n"] });
    await clock.advance(10);
    expect(stranger.take().code).toBe(CODE.UNAUTHORIZED);
  });
});
