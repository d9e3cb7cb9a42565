import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TransportError } from "../errors.js";
import { blockSize, findBlock, findOption } from "../message/block-option.js";
import { CODE, MESSAGE_TYPE, METHOD, OPTION } from "../message/codes.js";
import { decodeUint, uintOption } from "../message/option-values.js";
import { ask, BLOCK1, BLOCK2, block1, block2, pattern } from "../testing/block-requests.js";
import type { RawMessage, RawPeer } from "../testing/raw-peer.js";
import { type ServedEndpoint, serveEndpoint } from "../testing/served-endpoint.js";
import type { ServerRequest, ServerResponse } from "../types.js";
import type { CoapEndpointOptions } from "../udp/endpoint.js";
import type { UdpMessage } from "../udp/message-codec.js";

describe("RFC 7959 section 2.4: responses in blocks", () => {
  function serving(
    bodyOf: (request: ServerRequest, call: number) => ServerResponse,
    options: CoapEndpointOptions = {},
  ) {
    let calls = 0;
    const served = serveEndpoint({ handler: (request) => bodyOf(request, calls++), ...options });
    return { served, calls: () => calls };
  }

  async function fetchAll(served: ServedEndpoint, client: RawPeer, szx: number, message: RawMessage = {}) {
    const blocks: UdpMessage[] = [];
    for (let num = 0; ; num++) {
      const answer = await ask(served, client, { ...message, token: [num], options: [block2(num, szx)] });
      blocks.push(answer);
      if (findBlock(answer.options, BLOCK2)?.more !== true) return blocks;
    }
  }

  const content = (body: Uint8Array): ServerResponse => ({
    code: CODE.CONTENT,
    contentFormat: 40,
    maxAgeS: 77,
    payload: body,
  });
  const whole = (blocks: readonly UdpMessage[]) => Uint8Array.from(blocks.flatMap((message) => [...message.payload]));

  /** A body of which no more exists than was asked for. */
  function unfinished(length: number, failsAt = Number.POSITIVE_INFINITY) {
    const body = pattern(length);
    let made = 0;
    const answer = (): ServerResponse => ({
      code: CODE.CONTENT,
      etag: Uint8Array.of(1),
      payload: body.subarray(0, 100),
      rest: {
        upTo(bytes) {
          if (bytes > failsAt) throw new Error("too much");
          made = Math.max(made, Math.min(bytes, length));
          return body.subarray(0, Math.max(100, made));
        },
      },
    });
    return { body, answer, made: () => made };
  }

  test("a block that takes several turns to be made is sent once it is there, and others meanwhile", async () => {
    const body = pattern(5000);
    let made = 1024;
    let isTooMuch = false;
    const waiting: (() => void)[] = [];
    const { served } = serving(() => ({
      code: CODE.CONTENT,
      etag: Uint8Array.of(1),
      payload: body.subarray(0, made),
      rest: {
        upTo(bytes) {
          if (bytes <= made) return body.subarray(0, made);
          return new Promise<Uint8Array>((resolve, reject) => {
            waiting.push(() => (isTooMuch ? reject(new Error("too much")) : resolve(body.subarray(0, made))));
          });
        },
      },
    }));
    const client = served.peer();
    const first = await ask(served, client, { token: [1], options: [block2(0, 5)] });
    expect(first.payload).toEqual(body.subarray(0, 512));
    client.send({ token: [2], options: [block2(2, 5)] });
    await served.clock.advance(20);
    expect(client.inbox).toEqual([]);
    const other = await ask(served, served.peer("2001:db8::9"), { token: [3], options: [block2(0, 4)] });
    expect(other.payload).toEqual(body.subarray(0, 256));
    made = 2048;
    for (const resolve of waiting.splice(0)) resolve();
    await served.clock.advance(5);
    const block = client.take();
    expect([...block.payload]).toEqual([...body.subarray(1024, 1536)]);
    expect(findBlock(block.options, BLOCK2)).toMatchObject({ num: 2, more: true });
    client.send({ token: [4], options: [block2(9, 5)] });
    await served.clock.advance(5);
    isTooMuch = true;
    for (const resolve of waiting.splice(0)) resolve();
    await served.clock.advance(5);
    expect(client.inbox.map(({ code }) => code)).toEqual([CODE.UNAVAILABLE]);
  });

  test("a body that is not finished leaves block by block, each as soon as it is made", async () => {
    const { body, answer, made } = unfinished(5000);
    const { served, calls } = serving(answer);
    const client = served.peer();
    const blocks: UdpMessage[] = [];
    for (let num = 0; ; num++) {
      const one = await ask(served, client, { token: [num], options: [block2(num, 5)] });
      blocks.push(one);
      expect(made(), "one byte more tells whether there is more").toBe(Math.min(5000, (num + 1) * 512 + 1));
      expect(findOption(one.options, OPTION.SIZE2) === undefined || made() === 5000).toBe(true);
      if (findBlock(one.options, BLOCK2)?.more !== true) break;
    }
    expect(whole(blocks)).toEqual(body);
    expect(calls()).toBe(1);
  });

  test("one that is short after all goes whole", async () => {
    const { body, answer } = unfinished(700);
    const { served } = serving(answer);
    const one = await ask(served, served.peer(), { token: [1] });
    expect(one.payload).toEqual(body);
    expect(findBlock(one.options, BLOCK2)).toBeUndefined();
  });

  test.each(["at once", "in another turn"])("one that is superseded %s: the request is handled again", async (when) => {
    const [old, current] = [pattern(5000, 1), pattern(6000, 2)];
    const superseded = new TransportError("SUPERSEDED", "another body has taken its place");
    const { served, calls } = serving((_, call) => {
      if (call > 0) return content(current);
      const upTo = (bytes: number) => {
        if (bytes < 2500) return old.subarray(0, 2500);
        if (when === "at once") throw superseded;
        return Promise.reject(superseded);
      };
      return { code: CODE.CONTENT, etag: Uint8Array.of(1), payload: old.subarray(0, 2500), rest: { upTo } };
    });
    const client = served.peer();
    const blocks: UdpMessage[] = [];
    for (const num of [0, 1, 2, 3]) blocks.push(await ask(served, client, { token: [num], options: [block2(num, 6)] }));
    const tags = blocks.map(({ options }) =>
      Buffer.from(findOption(options, OPTION.ETAG)?.value ?? []).toString("hex"),
    );
    expect(tags.slice(0, 2)).toEqual(["01", "01"]);
    expect(tags[2]).not.toBe("01");
    expect(tags[3]).toBe(tags[2]);
    expect(blocks[2]?.payload).toEqual(current.subarray(2048, 3072));
    expect(calls()).toBe(2);
    expect(served.endpoint.tableSizes().handlers).toBe(0);
  });

  test("one that cannot be made to its end is given up, with an error for the rest", async () => {
    const { answer } = unfinished(5000, 2500);
    const { served } = serving(answer);
    const client = served.peer();
    for (const num of [0, 1]) {
      const one = await ask(served, client, { token: [num], options: [block2(num, 6)] });
      expect(one.code).toBe(CODE.CONTENT);
    }
    const last = await ask(served, client, { token: [9], options: [block2(2, 6)] });
    expect(last.code).toBe(CODE.UNAVAILABLE);
    expect(served.endpoint.tableSizes()["retained-bodies"]).toBe(0);
  });

  test.each([0, 1, 2, 3, 4, 5, 6])("LKP-32 COA-04 block size exponent %i, tokens all different", async (szx) => {
    const body = pattern(2500);
    const { served, calls } = serving(() => content(body));
    const blocks = await fetchAll(served, served.peer(), szx);
    expect(whole(blocks)).toEqual(body);
    expect(blocks).toHaveLength(Math.ceil(2500 / blockSize(szx)));
    expect(calls()).toBe(1);
    const etags = new Set<string>();
    for (const { options } of blocks) {
      etags.add(Buffer.from(findOption(options, OPTION.ETAG)?.value ?? []).toString("hex"));
      expect(findOption(options, OPTION.CONTENT_FORMAT)?.value).toEqual(Uint8Array.of(40));
      expect(findOption(options, OPTION.MAX_AGE)?.value).toEqual(Uint8Array.of(77));
    }
    expect([...etags]).toHaveLength(1);
    expect([...etags][0]).toHaveLength(16);
    expect(decodeUint(findOption(blocks[0]?.options ?? [], OPTION.SIZE2)?.value ?? new Uint8Array(0))).toBe(2500);
    expect(findOption(blocks[1]?.options ?? [], OPTION.SIZE2)).toBeUndefined();
  });

  test("what fits goes out whole, without Block2 or ETag", async () => {
    const { served } = serving(() => content(pattern(1024)));
    const answer = await ask(served, served.peer(), {});
    expect(answer.payload).toHaveLength(1024);
    expect(answer.options.map((option) => option.number)).toEqual([OPTION.CONTENT_FORMAT, OPTION.MAX_AGE]);
  });

  test("COA-04 without negotiation the first block comes of itself, of the preferred size", async () => {
    const { served } = serving(() => content(pattern(1025)), { limits: { blockSize: 256 } });
    const answer = await ask(served, served.peer(), {});
    expect(findBlock(answer.options, BLOCK2)).toEqual({ num: 0, more: true, szx: 4 });
    expect(answer.payload).toHaveLength(256);
  });

  test("COA-04 a client may switch to smaller blocks on the way", async () => {
    const body = pattern(300);
    const { served } = serving(() => content(body));
    const client = served.peer();
    await ask(served, client, { options: [block2(0, 3)] });
    const answer = await ask(served, client, { options: [block2(4, 1)] });
    expect(answer.payload).toEqual(body.subarray(128, 160));
  });

  test("COA-04 early negotiation of what fits is confirmed, and Size2 is sent on request", async () => {
    const { served } = serving(() => content(pattern(10)));
    const answer = await ask(served, served.peer(), { options: [block2(0, 2), uintOption(OPTION.SIZE2, 0)] });
    expect(findBlock(answer.options, BLOCK2)).toEqual({ num: 0, more: false, szx: 2 });
    expect(findOption(answer.options, OPTION.SIZE2)?.value).toEqual(Uint8Array.of(10));
  });

  test.each([
    { name: "behind the end", num: 3, szx: 2 },
    { name: "far behind the end", num: 1_048_575, szx: 6 },
  ])("COA-04 a block $name is 4.00", async ({ num, szx }) => {
    const { served } = serving(() => content(pattern(180)));
    const client = served.peer();
    await ask(served, client, { options: [block2(0, 2)] });
    expect((await ask(served, client, { options: [block2(num, szx)] })).code).toBe(CODE.BAD_REQUEST);
    // and just as much when nothing is retained
    expect((await ask(served, client, { path: "/other", options: [block2(num, szx)] })).code).toBe(CODE.BAD_REQUEST);
  });

  test("the reserved size is 4.00", async () => {
    const { served } = serving(() => content(pattern(180)));
    const options = [{ number: BLOCK2, value: Uint8Array.of(7) }];
    expect((await ask(served, served.peer(), { options })).code).toBe(CODE.BAD_REQUEST);
  });

  test("LKP-32 a change between blocks does not show in a transfer under way; a new one sees it", async () => {
    const { served } = serving((_request, call) => content(pattern(180, call)));
    const [one, other] = [served.peer("2001:db8::2"), served.peer("2001:db8::3")];
    const first = await ask(served, one, { options: [block2(0, 2)] });
    await ask(served, other, { options: [block2(0, 2)] });
    const second = await ask(served, one, { options: [block2(1, 2)] });
    const third = await ask(served, one, { options: [block2(2, 2)] });
    expect(whole([first, second, third])).toEqual(pattern(180, 0));
    expect((await ask(served, other, { options: [block2(1, 2)] })).payload).toEqual(pattern(180, 1).subarray(64, 128));
  });

  test("a token used before for another resource does not give that one's bytes", async () => {
    const { served } = serving((request) => content(pattern(180, request.path[0] === "A" ? 1 : 2)));
    const client = served.peer();
    await ask(served, client, { path: "/A", token: [1], options: [block2(0, 2)] });
    const answer = await ask(served, client, { path: "/B", token: [1], options: [block2(1, 2)] });
    expect(answer.payload).toEqual(pattern(180, 2).subarray(64, 128));
  });

  test.each([
    { name: "query", one: { query: ["a=1"] }, other: { query: ["a=2"] } },
    { name: "Accept", one: { options: [uintOption(17, 40)] }, other: { options: [uintOption(17, 51)] } },
  ])("retained bodies are distinguished by $name", async ({ one, other }: { one: RawMessage; other: RawMessage }) => {
    const { served } = serving((_request, call) => content(pattern(180, call)));
    const client = served.peer();
    const part = (message: RawMessage, num: number) =>
      ask(served, client, { ...message, options: [...(message.options ?? []), block2(num, 2)] });
    await part(one, 0);
    await part(other, 0);
    expect((await part(one, 1)).payload).toEqual(pattern(180, 0).subarray(64, 128));
    expect((await part(other, 1)).payload).toEqual(pattern(180, 1).subarray(64, 128));
  });

  test("bodies that differ in one byte, or in the place of two, have different ETags", async () => {
    const bodies = [pattern(2000), pattern(2000), pattern(2000), pattern(2000)];
    if (bodies[1] !== undefined) bodies[1][1999] = 0xff;
    if (bodies[2] !== undefined) bodies[2].copyWithin(0, 2, 4);
    const { served } = serving((_request, call) => content(bodies[call] ?? new Uint8Array(0)));
    const etags: string[] = [];
    for (const address of ["2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8::5"]) {
      const answer = await ask(served, served.peer(address), {});
      etags.push(Buffer.from(findOption(answer.options, OPTION.ETAG)?.value ?? []).toString("hex"));
    }
    expect(etags[3]).toBe(etags[0]);
    expect(new Set(etags).size).toBe(3);
  });

  test("the handler's own ETag is kept", async () => {
    const { served } = serving(() => ({ ...content(pattern(2000)), etag: Uint8Array.of(1, 2, 3) }));
    const answer = await ask(served, served.peer(), {});
    expect(findOption(answer.options, OPTION.ETAG)?.value).toEqual(Uint8Array.of(1, 2, 3));
  });

  test("the handler is asked again when the body is no longer retained", async () => {
    const { served, calls } = serving(() => content(pattern(180)));
    const client = served.peer();
    await ask(served, client, { options: [block2(0, 2)] });
    await served.clock.advance(247_000);
    expect((await ask(served, client, { options: [block2(2, 2)] })).payload).toEqual(pattern(180).subarray(128));
    expect(calls()).toBe(2);
  });

  test("a POST is not executed again for the later blocks of its lost answer", async () => {
    const { served, calls } = serving(() => ({ code: CODE.CHANGED, payload: pattern(180) }));
    const client = served.peer();
    const post = (num: number) => ask(served, client, { code: METHOD.POST, options: [block2(num, 2)] });
    expect((await post(0)).code).toBe(CODE.CHANGED);
    expect((await post(1)).payload).toEqual(pattern(180).subarray(64, 128));
    await served.clock.advance(247_000);
    expect((await post(2)).code).toBe(CODE.REQUEST_ENTITY_INCOMPLETE);
    expect(calls()).toBe(1);
  });

  test("retained bytes are bounded: the body longest untouched goes first", async () => {
    const { served, calls } = serving(() => content(pattern(2000)), { limits: { maxRetainedBytes: 4500 } });
    const clients = ["2001:db8::a", "2001:db8::b", "2001:db8::c"].map((address) => served.peer(address));
    for (const client of clients) await ask(served, client, { options: [block2(0, 6)] });
    expect(calls()).toBe(3);
    for (const client of clients.slice(1)) await ask(served, client, { options: [block2(1, 6)] });
    expect(calls()).toBe(3);
    const evicted = clients[0] as RawPeer;
    await ask(served, evicted, { options: [block2(1, 6)] });
    expect(calls()).toBe(4);
  });

  test("request and response both in blocks (section 3.3)", async () => {
    const { served } = serving((request) => content(Uint8Array.from([...request.payload, ...request.payload])));
    const client = served.peer();
    const fetch = (options: RawMessage["options"], payload: Uint8Array) =>
      ask(served, client, { code: METHOD.FETCH, options: options ?? [], payload });
    await fetch([block1(0, true, 2)], pattern(64));
    const first = await fetch([block1(1, false, 2), block2(0, 2)], pattern(64));
    expect(findBlock(first.options, BLOCK1)).toEqual({ num: 1, more: false, szx: 2 });
    expect(findBlock(first.options, BLOCK2)).toEqual({ num: 0, more: true, szx: 2 });
    const rest: UdpMessage[] = [];
    for (const num of [1, 2, 3]) rest.push(await fetch([block2(num, 2)], new Uint8Array(0)));
    expect(whole([first, ...rest])).toHaveLength(256);
  });

  test("non-confirmable block requests are answered likewise", async () => {
    const { served } = serving(() => content(pattern(180)));
    const client = served.peer();
    const type = MESSAGE_TYPE.NON;
    const first = await ask(served, client, { type, options: [block2(0, 2)] });
    const last = await ask(served, client, { type, options: [block2(2, 2)] });
    expect([first.type, last.payload.length]).toEqual([type, 52]);
  });

  test("LKP-32 any body in any block size comes out whole", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 0, max: 6 }), async (body, szx) => {
        const { served } = serving(() => content(body));
        expect(whole(await fetchAll(served, served.peer(), szx))).toEqual(body);
      }),
      { numRuns: 30 },
    );
  });
});
