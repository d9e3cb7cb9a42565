import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blockOption, blockSize, findBlock, findOption } from "../message/block-option.js";
import { CODE, METHOD, OPTION } from "../message/codes.js";
import { BLOCK1, blockOf, exchange, numOf, pattern, SERVER, URI } from "../testing/block-server.js";
import type { RawMessage } from "../testing/raw-peer.js";
import { ENDPOINT_ADDRESS } from "../testing/served-endpoint.js";
import { createVirtualWorld } from "../testing/virtual-world.js";
import type { ClientResponse } from "../types.js";
import { createCoapEndpoint } from "../udp/endpoint.js";
import type { UdpMessage } from "../udp/message-codec.js";

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

  test("COA-05 uploads to one resource at the same time are distinguished by Request-Tag", async () => {
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
        // So many that no exchange fails, within the lifetime of an exchange: whatever comes later counts as new.
        { parameters: { maxRetransmit: 9, ackTimeoutMs: 100 } },
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
