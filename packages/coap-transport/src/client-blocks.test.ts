import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blockOption, blockSize, findBlock, findOption } from "./block-option.js";
import { createCoapEndpoint } from "./coap-endpoint.js";
import { CODE, MESSAGE_TYPE, METHOD, OPTION } from "./constants.js";
import type { UdpMessage } from "./message-codec.js";
import { encodeUint, uintOption } from "./option-values.js";
import type { RawMessage } from "./testing/raw-peer.js";
import { ENDPOINT_ADDRESS, serveEndpoint } from "./testing/served-endpoint.js";
import { createVirtualWorld } from "./testing/virtual-world.js";
import type { ClientRequest, ClientResponse, CoapOption, RequestControl } from "./types.js";

const { ACK } = MESSAGE_TYPE;
const { BLOCK1, BLOCK2 } = OPTION;
const SERVER = "2001:db8::2";
const URI = `coap://[${SERVER}]/x`;

function pattern(length: number, salt = 0): Uint8Array {
  return Uint8Array.from({ length }, (_unused, index) => (index * 31 + (index >> 8) * 7 + salt) & 255);
}

/** One block of `body`, as a server would send it. */
function blockOf(body: Uint8Array, num: number, szx: number, etag: number | null): RawMessage {
  const size = blockSize(szx);
  const more = (num + 1) * size < body.length;
  const options: CoapOption[] = [blockOption(BLOCK2, { num, more, szx }), uintOption(OPTION.CONTENT_FORMAT, 40)];
  if (etag !== null) options.push({ number: OPTION.ETAG, value: Uint8Array.of(etag) });
  return { code: CODE.CONTENT, options, payload: body.subarray(num * size, (num + 1) * size) };
}

/** Ask once; `answer` is what the server says to each request in turn. */
async function exchange(
  answer: (request: UdpMessage, turn: number) => RawMessage,
  request: Partial<ClientRequest> = {},
  control?: RequestControl,
) {
  const served = serveEndpoint();
  const server = served.peer(SERVER, 5683);
  const requests: UdpMessage[] = [];
  server.onMessage = (message) => {
    requests.push(message);
    server.send({
      type: ACK,
      messageId: message.messageId,
      token: message.token,
      ...answer(message, requests.length - 1),
    });
  };
  let response: ClientResponse | null = null;
  let error: (Error & { code?: string }) | null = null;
  served.endpoint.request({ method: METHOD.GET, uri: URI, ...request }, control).then(
    (settled) => {
      response = settled;
    },
    (failure: Error) => {
      error = failure;
    },
  );
  await served.clock.advance(200_000);
  return { response: response as ClientResponse | null, error: error as { code?: string } | null, requests };
}

const numOf = (request: UdpMessage): number => findBlock(request.options, BLOCK2)?.num ?? 0;

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

  test("LKP-32 a body that changes on the way is fetched anew", async () => {
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

describe("RFC 7959 section 2.5: requests in blocks", () => {
  /** A server that takes blocks up to `szx` and answers when it has all. */
  function taker(szx: number) {
    const parts: Uint8Array[] = [];
    const answer = (request: UdpMessage): RawMessage => {
      const block = findBlock(request.options, BLOCK1);
      if (block === undefined) return { code: CODE.CHANGED };
      if (block.num === 0) parts.length = 0;
      parts.push(request.payload);
      const options = [blockOption(BLOCK1, { ...block, szx: Math.min(block.szx, szx) })];
      return { code: block.more ? CODE.CONTINUE : CODE.CHANGED, options };
    };
    return { answer, body: () => Uint8Array.from(parts.flatMap((part) => [...part])) };
  }

  test.each([0, 2, 4, 6])("COA-04 a server that wants exponent %i", async (szx) => {
    const { answer, body } = taker(szx);
    const { response, requests } = await exchange(answer, { method: METHOD.PUT, payload: pattern(3000) });
    expect(response?.code).toBe(CODE.CHANGED);
    expect(body()).toEqual(pattern(3000));
    expect(findOption(requests[0]?.options ?? [], OPTION.SIZE1)?.value).toEqual(Uint8Array.of(0x0b, 0xb8));
    expect(findOption(requests[1]?.options ?? [], OPTION.SIZE1)).toBeUndefined();
  });

  test("what fits goes as it is", async () => {
    const { requests } = await exchange(() => ({ code: CODE.CHANGED }), { method: METHOD.PUT, payload: pattern(1024) });
    expect(requests.map((request) => findBlock(request.options, BLOCK1))).toEqual([undefined]);
  });

  test("4.13 with a smaller size is taken as a hint, also when nothing was in blocks yet", async () => {
    const { answer, body } = taker(2);
    const refuse = {
      code: CODE.REQUEST_ENTITY_TOO_LARGE,
      options: [blockOption(BLOCK1, { num: 0, more: false, szx: 2 })],
    };
    const { response } = await exchange((request, turn) => (turn === 0 ? refuse : answer(request)), {
      method: METHOD.PUT,
      payload: pattern(500),
    });
    expect(response?.code).toBe(CODE.CHANGED);
    expect(body()).toEqual(pattern(500));
  });

  test("4.13 without a hint is the response", async () => {
    const answer = { code: CODE.REQUEST_ENTITY_TOO_LARGE };
    const { response, requests } = await exchange(() => answer, { method: METHOD.PUT, payload: pattern(3000) });
    expect([response?.code, requests.length]).toEqual([CODE.REQUEST_ENTITY_TOO_LARGE, 1]);
  });

  test("4.08 starts the upload again, once", async () => {
    const { answer, body } = taker(6);
    const once = await exchange(
      (request, turn) => (turn === 1 ? { code: CODE.REQUEST_ENTITY_INCOMPLETE } : answer(request)),
      { method: METHOD.PUT, payload: pattern(3000) },
    );
    expect(once.response?.code).toBe(CODE.CHANGED);
    expect(body()).toEqual(pattern(3000));
    const always = await exchange(() => ({ code: CODE.REQUEST_ENTITY_INCOMPLETE }), {
      method: METHOD.PUT,
      payload: pattern(3000),
    });
    expect([always.response?.code, always.requests.length]).toEqual([CODE.REQUEST_ENTITY_INCOMPLETE, 2]);
  });

  test("a response in blocks to a request in blocks", async () => {
    const { answer } = taker(6);
    const body = pattern(2000, 5);
    const { response } = await exchange(
      (request) => {
        const block = findBlock(request.options, BLOCK1);
        if (block?.more === true) return answer(request);
        const part = blockOf(body, numOf(request), 6, 1);
        return block === undefined ? part : { ...part, options: [...(part.options ?? []), blockOption(BLOCK1, block)] };
      },
      { method: METHOD.POST, payload: pattern(3000) },
    );
    expect(response?.payload).toEqual(body);
  });

  test("COA-05 uploads to one resource at the same time are told apart by Request-Tag", async () => {
    const world = createVirtualWorld();
    const bodies: Uint8Array[] = [];
    createCoapEndpoint(
      { env: world.env, socket: world.network.open(SERVER, 5683) },
      {
        handler: (request) => {
          bodies.push(request.payload);
          return { code: CODE.CHANGED };
        },
      },
    );
    const client = createCoapEndpoint({ env: world.env, socket: world.network.open(ENDPOINT_ADDRESS, 0) });
    const payloads = [1, 2, 3].map((salt) => pattern(5000, salt));
    const codes: number[] = [];
    for (const payload of payloads) {
      void client.request({ method: METHOD.POST, uri: URI, payload }).then((response) => codes.push(response.code));
    }
    await world.clock.advance(1000);
    expect(codes).toEqual([CODE.CHANGED, CODE.CHANGED, CODE.CHANGED]);
    expect(bodies).toEqual(payloads);
  });
});

test("COA-01 LKP-32 REG-29 over a bad network, any bodies arrive whole and are acted on once", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.nat(4000), fc.nat(4000), fc.nat(6), async (seed, up, down, szx) => {
      const world = createVirtualWorld({ seed });
      world.network.setConditions({ loss: 0.15, duplication: 0.15, jitterMs: 40 });
      let calls = 0;
      let uploaded = new Uint8Array(0);
      const limits = { blockSize: blockSize(szx) };
      createCoapEndpoint(
        { env: world.env, socket: world.network.open(SERVER, 5683) },
        {
          limits,
          handler: (request) => {
            calls++;
            uploaded = Uint8Array.from(request.payload);
            return { code: CODE.CHANGED, payload: pattern(down, 9) };
          },
        },
      );
      const client = createCoapEndpoint(
        { env: world.env, socket: world.network.open(ENDPOINT_ADDRESS, 0) },
        { parameters: { maxRetransmit: 9 } },
      );
      let response: ClientResponse | null = null;
      void client.request({ method: METHOD.POST, uri: URI, payload: pattern(up) }).then((settled) => {
        response = settled;
      });
      await world.clock.runUntil(() => response !== null, 3_600_000);
      expect((response as ClientResponse | null)?.payload).toEqual(pattern(down, 9));
      expect(uploaded).toEqual(pattern(up));
      expect(calls).toBe(1);
    }),
    { numRuns: 25 },
  );
}, 30_000);
