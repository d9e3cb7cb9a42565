import { describe, expect, test } from "vitest";
import { blockSize, findBlock, findOption } from "../message/block-option.js";
import { CODE, METHOD, OPTION } from "../message/codes.js";
import { decodeUint, encodeUint, uintOption } from "../message/option-values.js";
import { ask, BLOCK1, block1, pattern } from "../testing/block-requests.js";
import type { RawMessage, RawPeer } from "../testing/raw-peer.js";
import { serveEndpoint } from "../testing/served-endpoint.js";
import type { ServerResponse } from "../types.js";
import type { CoapEndpointOptions } from "../udp/endpoint.js";

describe("RFC 7959 section 2.5: requests in blocks", () => {
  function collecting(options: CoapEndpointOptions = {}) {
    const bodies: { query: readonly string[]; payload: Uint8Array }[] = [];
    const served = serveEndpoint({
      handler: (request): ServerResponse => {
        bodies.push({ query: request.query, payload: request.payload });
        return { code: CODE.CREATED, locationPath: ["reg", "1"] };
      },
      ...options,
    });
    const block = (client: RawPeer, body: Uint8Array, num: number, szx: number, extra: RawMessage = {}) => {
      const size = blockSize(szx);
      const more = (num + 1) * size < body.length;
      const payload = body.subarray(num * size, (num + 1) * size);
      const options = [block1(num, more, szx), ...(extra.options ?? [])];
      return ask(served, client, { code: METHOD.POST, path: "/rd", payload, ...extra, options });
    };
    return { served, bodies, block };
  }

  test.each([0, 1, 2, 3, 4, 5, 6])("REG-29 COA-04 block size exponent %i", async (szx) => {
    const { served, bodies, block } = collecting();
    const client = served.peer();
    const body = pattern(2500);
    const blocks = Math.ceil(body.length / blockSize(szx));
    for (let num = 0; num < blocks; num++) {
      const answer = await block(client, body, num, szx);
      const isLast = num === blocks - 1;
      expect(answer.code).toBe(isLast ? CODE.CREATED : CODE.CONTINUE);
      expect(findBlock(answer.options, BLOCK1)).toEqual({ num, more: !isLast, szx });
    }
    expect(bodies).toHaveLength(1);
    expect(bodies[0]?.payload).toEqual(body);
  });

  test("REG-29 two clients interleaved, 64-byte blocks: one atomic request each", async () => {
    const { served, bodies, block } = collecting();
    const clients = [served.peer("2001:db8::2"), served.peer("2001:db8::3")] as const;
    const [one, other] = [pattern(200, 1), pattern(200, 2)];
    for (const num of [0, 1, 2, 3]) {
      await block(clients[0], one, num, 2);
      await block(clients[1], other, num, 2);
    }
    expect(bodies.map((entry) => entry.payload)).toEqual([one, other]);
  });

  test("REG-29 COA-05 two uploads of one client are kept apart by Request-Tag", async () => {
    const { served, bodies, block } = collecting();
    const client = served.peer();
    const [one, other] = [pattern(200, 1), pattern(200, 2)];
    const tag = { options: [uintOption(OPTION.REQUEST_TAG, 1)] };
    for (const num of [0, 1, 2, 3]) {
      await block(client, one, num, 2);
      await block(client, other, num, 2, tag);
    }
    expect(bodies.map((entry) => entry.payload)).toEqual([one, other]);
  });

  test("COA-05 two uploads of one client without tag are never mixed", async () => {
    const { served, bodies, block } = collecting();
    const client = served.peer();
    const [one, other] = [pattern(200, 1), pattern(200, 2)];
    const codes: number[] = [];
    for (const num of [0, 1, 2, 3]) {
      codes.push((await block(client, one, num, 2)).code, (await block(client, other, num, 2)).code);
    }
    expect(bodies).toHaveLength(0);
    expect(codes).toContain(CODE.REQUEST_ENTITY_INCOMPLETE);
  });

  test("uploads with different queries are different uploads", async () => {
    const { served, bodies, block } = collecting();
    const client = served.peer();
    for (const num of [0, 1]) {
      await block(client, pattern(100, 1), num, 2, { query: ["ep=a"] });
      await block(client, pattern(100, 2), num, 2, { query: ["ep=b"] });
    }
    expect(bodies.map(({ query, payload }) => [query[0], payload[0]])).toEqual([
      ["ep=a", 1],
      ["ep=b", 2],
    ]);
  });

  test("REG-29 a missing block is 4.08, and the client can start again", async () => {
    const { served, bodies, block } = collecting();
    const client = served.peer();
    const body = pattern(200);
    await block(client, body, 0, 2);
    expect((await block(client, body, 2, 2)).code).toBe(CODE.REQUEST_ENTITY_INCOMPLETE);
    expect((await block(client, body, 1, 2)).code).toBe(CODE.REQUEST_ENTITY_INCOMPLETE);
    for (const num of [0, 1, 2, 3]) await block(client, body, num, 2);
    expect(bodies.map((entry) => entry.payload)).toEqual([body]);
  });

  test("a block sent again under a new message id does no harm", async () => {
    const { served, bodies, block } = collecting();
    const client = served.peer();
    const body = pattern(200);
    for (const num of [0, 0, 1, 1, 2, 2, 3])
      expect((await block(client, body, num, 2)).code).not.toBe(CODE.REQUEST_ENTITY_INCOMPLETE);
    expect(bodies.map((entry) => entry.payload)).toEqual([body]);
  });

  test("the last block sent again under a new message id: the request is run again with the whole body", async () => {
    const { served, bodies, block } = collecting();
    const client = served.peer();
    const body = pattern(200);
    for (const num of [0, 1, 2, 3]) await block(client, body, num, 2);
    expect((await block(client, body, 3, 2)).code).toBe(CODE.CREATED);
    expect(bodies.map(({ payload }) => payload)).toEqual([body, body]);
  });

  test.each([
    { name: "another last block", change: { payload: pattern(8, 9) } },
    { name: "another query", change: { query: ["ep=other"] } },
    { name: "another Request-Tag", change: { options: [uintOption(OPTION.REQUEST_TAG, 7)] } },
  ])("$name than before is no repetition: 4.08", async ({ change }) => {
    const { served, bodies, block } = collecting();
    const client = served.peer();
    const body = pattern(200);
    for (const num of [0, 1, 2, 3]) await block(client, body, num, 2);
    expect((await block(client, body, 3, 2, change)).code).toBe(CODE.REQUEST_ENTITY_INCOMPLETE);
    expect(bodies).toHaveLength(1);
  });

  test("a body that is under way again is not taken for the one before", async () => {
    const { served, bodies, block } = collecting();
    const client = served.peer();
    const body = pattern(200);
    for (const num of [0, 1, 2, 3, 0]) await block(client, body, num, 2);
    expect((await block(client, body, 3, 2)).code).toBe(CODE.REQUEST_ENTITY_INCOMPLETE);
    expect(bodies).toHaveLength(1);
  });

  test("bodies that were finished are kept up to a number of bytes, the latest ones", async () => {
    const { served, block } = collecting();
    const body = pattern(80_000);
    const clients = Array.from({ length: 15 }, (_, at) => served.peer(`2001:db8::${at + 10}`));
    for (const client of clients) for (let num = 0; num * 1024 < body.length; num++) await block(client, body, num, 6);
    const codes: number[] = [];
    for (const client of clients) codes.push((await block(client, body, 78, 6)).code);
    expect(codes[0]).toBe(CODE.REQUEST_ENTITY_INCOMPLETE);
    expect(codes.filter((code) => code === CODE.CREATED)).toHaveLength(Math.floor(1_048_576 / body.length));
  });

  test("REG-29 COA-01 lost and repeated messages: one request", async () => {
    const { served, bodies, block } = collecting();
    const client = served.peer();
    const body = pattern(200);
    for (const num of [0, 1, 2, 3]) {
      await block(client, body, num, 2, { messageId: 100 + num });
      await block(client, body, num, 2, { messageId: 100 + num });
    }
    expect(bodies).toHaveLength(1);
  });

  test("REG-29 beyond the limit is 4.13 with the limit in Size1", async () => {
    const { served, bodies, block } = collecting({ limits: { maxRequestBytes: 150 } });
    const client = served.peer();
    const body = pattern(200);
    expect((await block(client, body, 0, 2)).code).toBe(CODE.CONTINUE);
    expect((await block(client, body, 1, 2)).code).toBe(CODE.CONTINUE);
    const refusal = await block(client, body, 2, 2);
    expect(refusal.code).toBe(CODE.REQUEST_ENTITY_TOO_LARGE);
    expect(decodeUint(findOption(refusal.options, OPTION.SIZE1)?.value ?? new Uint8Array(0))).toBe(150);
    expect(bodies).toHaveLength(0);
  });

  test("REG-29 a Size1 beyond the limit is refused with the first block", async () => {
    const { served, block } = collecting({ limits: { maxRequestBytes: 150 } });
    const size = { options: [{ number: OPTION.SIZE1, value: encodeUint(1_000_000) }] };
    const refusal = await block(served.peer(), pattern(200), 0, 2, size);
    expect(refusal.code).toBe(CODE.REQUEST_ENTITY_TOO_LARGE);
  });

  test("a single datagram beyond the limit is 4.13 too", async () => {
    const { served } = collecting({ limits: { maxRequestBytes: 150 } });
    const refusal = await ask(served, served.peer(), { code: METHOD.POST, payload: pattern(151) });
    expect(refusal.code).toBe(CODE.REQUEST_ENTITY_TOO_LARGE);
  });

  test("smaller blocks than the client's are asked for, and taken", async () => {
    const { served, bodies, block } = collecting({ limits: { blockSize: 64 } });
    const client = served.peer();
    const body = pattern(300);
    const first = await block(client, body, 0, 4);
    expect(findBlock(first.options, BLOCK1)).toEqual({ num: 0, more: true, szx: 2 });
    expect((await block(client, body, 4, 2)).code).toBe(CODE.CREATED);
    expect(bodies[0]?.payload).toEqual(body);
  });

  test.each([
    { name: "a block of other than its size", option: block1(0, true, 2), payload: pattern(63) },
    { name: "a block larger than its size", option: block1(0, false, 0), payload: pattern(17) },
    { name: "the reserved size", option: { number: BLOCK1, value: Uint8Array.of(0x0f) }, payload: pattern(16) },
  ])("$name is 4.00", async ({ option, payload }) => {
    const { served } = collecting();
    const answer = await ask(served, served.peer(), { code: METHOD.POST, options: [option], payload });
    expect(answer.code).toBe(CODE.BAD_REQUEST);
  });

  test("COA-05 abandoned uploads are forgotten after EXCHANGE_LIFETIME, and nothing keeps running", async () => {
    const { served, block } = collecting();
    const client = served.peer();
    const body = pattern(200);
    await block(client, body, 0, 2);
    await served.clock.advance(247_000);
    expect((await block(client, body, 1, 2)).code).toBe(CODE.REQUEST_ENTITY_INCOMPLETE);
    await served.clock.advance(1000);
    expect(served.clock.pending).toBe(0);
  });

  test("COA-05 uploads are bounded in number: the one longest untouched is dropped", async () => {
    const { served, bodies, block } = collecting({ limits: { maxTransfers: 2 } });
    const body = pattern(100);
    const clients = [served.peer("2001:db8::a"), served.peer("2001:db8::b"), served.peer("2001:db8::c")] as const;
    for (const client of clients) await block(client, body, 0, 2);
    const codes: number[] = [];
    for (const client of clients) codes.push((await block(client, body, 1, 2)).code);
    expect(codes).toEqual([CODE.REQUEST_ENTITY_INCOMPLETE, CODE.CREATED, CODE.CREATED]);
    expect(bodies).toHaveLength(2);
  });
});
