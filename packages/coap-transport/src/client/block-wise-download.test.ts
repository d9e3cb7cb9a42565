import { describe, expect, test } from "vitest";
import { findBlock } from "../message/block-option.js";
import { CODE, METHOD, OPTION } from "../message/codes.js";
import { encodeUint, uintOption } from "../message/option-values.js";
import { ACK, BLOCK2, blockOf, exchange, numOf, pattern, SERVER, URI } from "../testing/block-server.js";
import type { RawMessage } from "../testing/raw-peer.js";
import { ENDPOINT_ADDRESS, serveEndpoint } from "../testing/served-endpoint.js";
import { createVirtualWorld } from "../testing/virtual-world.js";
import { createCoapEndpoint } from "../udp/endpoint.js";

describe("RFC 7959 section 2.4: responses in blocks", () => {
  test.each([0, 1, 2, 3, 4, 5, 6])("LKP-32 COA-04 block size exponent %i", async (szx) => {
    const body = pattern(2500);
    const { response, requests } = await exchange((request) => blockOf(body, numOf(request), szx, 1));
    expect(response?.payload).toEqual(body);
    expect(response).toMatchObject({ contentFormat: 40, code: CODE.CONTENT });
    expect(response?.wireBytes).toBeGreaterThan(2500 + 4 * requests.length);
    expect(requests.map(numOf)).toEqual(requests.map((_request, index) => index));
    expect(new Set(requests.map((request) => Buffer.from(request.token).toString("hex"))).size).toBe(requests.length);
    expect(findBlock(requests[0]?.options ?? [], BLOCK2)).toBeUndefined();
    expect(requests.slice(1).every((request) => findBlock(request.options, BLOCK2)?.szx === szx)).toBe(true);
  });

  test("later requests repeat what is asked, without ETag and payload", async () => {
    const body = pattern(150);
    const { requests } = await exchange((request) => blockOf(body, numOf(request), 6 - 4, 1), {
      method: METHOD.FETCH,
      payload: Buffer.from("query"),
      etags: [Uint8Array.of(9)],
      accept: 40,
    });
    expect(requests.map((request) => request.options.map((option) => option.number))).toEqual([
      [OPTION.ETAG, OPTION.URI_PATH, OPTION.ACCEPT],
      [OPTION.URI_PATH, OPTION.ACCEPT, BLOCK2],
      [OPTION.URI_PATH, OPTION.ACCEPT, BLOCK2],
    ]);
    expect(requests.map((request) => request.payload.length)).toEqual([5, 0, 0]);
  });

  test.each([
    { name: "with ETags and a size", etag: 1, hasSize: true, roundTrips: 9, extra: 0 },
    { name: "with ETags alone", etag: 1, hasSize: false, roundTrips: 20, extra: 7 },
    { name: "without ETags", etag: null, hasSize: true, roundTrips: 50, extra: 0 },
  ])("a body of 50 blocks, several at once where they can be shown from others: $name", async (each) => {
    const body = pattern(50 * 1024);
    const served = serveEndpoint();
    served.network.setConditions({ delayMs: 25 });
    const server = served.peer(SERVER, 5683);
    let count = 0;
    server.onMessage = (message) => {
      count++;
      const num = numOf(message);
      const { options = [], ...block } = blockOf(body, num, 6, each.etag);
      const outOfRange = { code: CODE.BAD_REQUEST, options: [] };
      const size = each.hasSize && num === 0 ? [uintOption(OPTION.SIZE2, body.length)] : [];
      const reply = num >= 50 ? outOfRange : { ...block, options: [...options, ...size] };
      server.send({ type: ACK, messageId: message.messageId, token: message.token, ...reply });
    };
    let received: Uint8Array | null = null;
    void served.endpoint.request({ method: METHOD.GET, uri: URI }).then(({ payload }) => {
      received = payload;
    });
    const startMs = served.clock.nowMs();
    await served.clock.runUntil(() => received !== null);
    const roundTrips = Math.round((served.clock.nowMs() - startMs) / 50);
    await served.clock.advance(1000);
    expect(Buffer.from(received ?? []).equals(body)).toBe(true);
    expect(roundTrips).toBeLessThanOrEqual(each.roundTrips);
    expect(count).toBeLessThanOrEqual(50 + each.extra);
  });

  test("a lost block of several is waited for; the others are kept", async () => {
    const body = pattern(30 * 1024);
    const served = serveEndpoint();
    const server = served.peer(SERVER, 5683);
    const requested: number[] = [];
    server.onMessage = (message) => {
      const num = numOf(message);
      requested.push(num);
      if (num === 5 && requested.filter((each) => each === 5).length === 1) return;
      const { options = [], ...block } = blockOf(body, num, 6, 1);
      const size = num === 0 ? [uintOption(OPTION.SIZE2, body.length)] : [];
      const reply = { ...block, options: [...options, ...size] };
      server.send({ type: ACK, messageId: message.messageId, token: message.token, ...reply });
    };
    const response = served.endpoint.request({ method: METHOD.GET, uri: URI });
    await served.clock.advance(10_000);
    expect(Buffer.from((await response).payload).equals(body)).toBe(true);
    expect(requested).toHaveLength(31);
  });

  test("LKP-32 a body that changes on the way is fetched again", async () => {
    const [before, after] = [pattern(300, 1), pattern(300, 2)];
    const { response } = await exchange((request, turn) =>
      turn < 2 ? blockOf(before, numOf(request), 2, 1) : blockOf(after, numOf(request), 2, 2),
    );
    expect(response?.payload).toEqual(after);
  });

  test("LKP-32 one that always changes is given up after three attempts more", async () => {
    const { error, requests } = await exchange((request, turn) => blockOf(pattern(300, turn), numOf(request), 2, turn));
    expect(error?.code).toBe("MALFORMED");
    expect(requests.filter((request) => numOf(request) === 0)).toHaveLength(4);
  });

  describe("blocks belong together unless they say otherwise", () => {
    const body = pattern(300, 1);
    const other = pattern(300, 2);
    const option = (number: number, value: number) => ({ number, value: encodeUint(value) });
    const without = (block: RawMessage, number: number): RawMessage => ({
      ...block,
      options: (block.options ?? []).filter((one) => one.number !== number),
    });
    const saying = (block: RawMessage, number: number, value: number): RawMessage => ({
      ...block,
      options: [...(without(block, number).options ?? []), option(number, value)],
    });

    test.each<{ name: string; block: (num: number) => RawMessage }>([
      { name: "ETag with the first block only", block: (num) => blockOf(body, num, 2, num === 0 ? 1 : null) },
      { name: "ETag with every block but the first", block: (num) => blockOf(body, num, 2, num === 0 ? null : 1) },
      { name: "ETag with every other block", block: (num) => blockOf(body, num, 2, num % 2 === 0 ? 1 : null) },
      {
        name: "Content-Format with the first block only",
        block: (num) =>
          num === 0 ? blockOf(body, num, 2, 1) : without(blockOf(body, num, 2, 1), OPTION.CONTENT_FORMAT),
      },
      {
        name: "an estimate of the size that gets better, under one ETag",
        block: (num) => saying(blockOf(body, num, 2, 1), OPTION.SIZE2, 290 + num),
      },
      {
        name: "Size2 with the first block only",
        block: (num) =>
          num === 0 ? saying(blockOf(body, num, 2, null), OPTION.SIZE2, 300) : blockOf(body, num, 2, null),
      },
    ])("$name: one body, asked for once", async ({ block }) => {
      const { response, requests } = await exchange((request) => block(numOf(request)));
      expect(response?.payload).toEqual(body);
      expect(response?.contentFormat).toBe(40);
      expect(requests).toHaveLength(5);
    });

    test.each<{ name: string; changed: (num: number) => RawMessage; first: (num: number) => RawMessage }>([
      {
        name: "an ETag that was not there with the first block differs from the one before",
        first: (num) => blockOf(body, num, 2, num === 0 ? null : 1),
        changed: (num) => blockOf(other, num, 2, 2),
      },
      {
        name: "another Content-Format",
        first: (num) => blockOf(body, num, 2, null),
        changed: (num) => saying(blockOf(other, num, 2, null), OPTION.CONTENT_FORMAT, 50),
      },
      {
        name: "another size, and no ETag",
        first: (num) => saying(blockOf(body, num, 2, null), OPTION.SIZE2, 300),
        changed: (num) => saying(blockOf(other, num, 2, null), OPTION.SIZE2, 301),
      },
    ])("$name: fetched again", async ({ first, changed }) => {
      const { response } = await exchange((request, turn) => (turn < 3 ? first : changed)(numOf(request)));
      expect(response?.payload).toEqual(other);
    });

    test("a server that turns to smaller blocks on the way is followed", async () => {
      const { response, requests } = await exchange((request) => {
        const asked = findBlock(request.options, BLOCK2);
        if (asked === undefined) return blockOf(body, 0, 2, null);
        const offset = asked.num << (asked.szx + 4);
        return blockOf(body, offset >> 4, 0, null);
      });
      expect(response?.payload).toEqual(body);
      expect(requests.length).toBeGreaterThan(10);
    });
  });

  test("a body that shrank to one datagram on the way is taken as it is", async () => {
    const { response } = await exchange((request, turn) =>
      turn === 0
        ? blockOf(pattern(300), 0, 2, 1)
        : { code: CODE.CONTENT, payload: numOf(request) === 0 ? "small" : "odd" },
    );
    expect(Buffer.from(response?.payload ?? []).toString()).toBe("small");
  });

  test("a resource that vanished on the way is 4.04", async () => {
    const { response } = await exchange((request, turn) =>
      turn === 0 ? blockOf(pattern(300), numOf(request), 2, 1) : { code: CODE.NOT_FOUND },
    );
    expect(response?.code).toBe(CODE.NOT_FOUND);
  });

  test("an answer to a POST that changed on the way is not asked for by doing it again", async () => {
    const { error, requests } = await exchange(
      (request, turn) => blockOf(pattern(300, turn), numOf(request), 2, turn),
      { method: METHOD.POST },
    );
    expect(error?.code).toBe("MALFORMED");
    expect(requests).toHaveLength(2);
  });

  test.each([
    { name: "the wrong block", answer: (num: number) => blockOf(pattern(300), num === 1 ? 2 : num, 2, 1) },
    {
      name: "a block cut short",
      answer: (num: number) => ({ ...blockOf(pattern(300), num, 2, 1), payload: pattern(num === 1 ? 63 : 64) }),
    },
    {
      name: "a last block too long",
      answer: (num: number) => ({ ...blockOf(pattern(100), num, 2, 1), payload: pattern(num === 1 ? 65 : 64) }),
    },
    { name: "a first block that is not the first", answer: () => blockOf(pattern(300), 1, 2, 1) },
  ])("$name is MALFORMED, never mixed in", async ({ answer }) => {
    const { error } = await exchange((request) => answer(numOf(request)));
    expect(error?.code).toBe("MALFORMED");
  });

  test("every datagram doubled: the body is right all the same", async () => {
    const world = createVirtualWorld();
    world.network.setConditions({ duplication: 1 });
    const body = pattern(5000);
    const deps = { env: world.env };
    createCoapEndpoint(
      { ...deps, socket: world.network.open(SERVER, 5683) },
      { handler: () => ({ code: CODE.CONTENT, payload: body }) },
    );
    const client = createCoapEndpoint({ ...deps, socket: world.network.open(ENDPOINT_ADDRESS, 0) });
    let payload = new Uint8Array(0);
    void client.request({ method: 1, uri: URI }).then((response) => {
      payload = Uint8Array.from(response.payload);
    });
    await world.clock.advance(1000);
    expect(payload).toEqual(body);
  });

  test("TOO_LARGE: as soon as announced, or as soon as it is", async () => {
    const announced = await exchange(
      (request) => {
        const block = blockOf(pattern(300), numOf(request), 2, 1);
        return { ...block, options: [...(block.options ?? []), { number: OPTION.SIZE2, value: encodeUint(300) }] };
      },
      {},
      { maxBodyBytes: 200 },
    );
    expect([announced.error?.code, announced.requests.length]).toEqual(["TOO_LARGE", 1]);
    const grown = await exchange((request) => blockOf(pattern(300), numOf(request), 2, 1), {}, { maxBodyBytes: 200 });
    expect([grown.error?.code, grown.requests.length]).toEqual(["TOO_LARGE", 4]);
    const single = await exchange(() => ({ code: CODE.CONTENT, payload: pattern(201) }), {}, { maxBodyBytes: 200 });
    expect(single.error?.code).toBe("TOO_LARGE");
  });

  test("a response of 60 kB in one datagram is taken", async () => {
    const { response } = await exchange(() => ({ code: CODE.CONTENT, payload: pattern(60_000) }));
    expect(response?.payload).toEqual(pattern(60_000));
  });
});
