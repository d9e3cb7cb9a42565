import { describe, expect, test, vi } from "vitest";
import { CODE, METHOD, OPTION } from "../message/codes.js";
import { encodeUint, uintOption } from "../message/option-values.js";
import { ACK, hello, NON, text } from "../testing/greeting-server.js";
import { serveEndpoint } from "../testing/served-endpoint.js";
import type { ServerRequest } from "../types.js";

const ONE = Uint8Array.of(1);
const LOCATION = { number: OPTION.LOCATION_PATH, value: ONE };
const NONE_MATCH = { number: OPTION.IF_NONE_MATCH, value: new Uint8Array(0) };
const match = (...bytes: number[]) => ({ number: OPTION.IF_MATCH, value: Uint8Array.from(bytes) });

describe("RFC 7252 section 5.10.8: conditional requests", () => {
  const tagged = { code: CODE.CONTENT, etag: Uint8Array.of(7, 7), payload: Buffer.from("x") };
  const absent = { code: CODE.NOT_FOUND };
  test.each([
    { name: "If-Match with the tag", options: [match(7, 7)], found: tagged, code: CODE.CONTENT },
    { name: "If-Match with one of several tags", options: [match(1), match(7, 7)], found: tagged, code: CODE.CONTENT },
    { name: "empty If-Match of what exists", options: [match()], found: tagged, code: CODE.CONTENT },
    { name: "If-Match with another tag", options: [match(7)], found: tagged, code: CODE.PRECONDITION_FAILED },
    { name: "If-Match of what has no tag", options: [match(7)], found: hello(), code: CODE.PRECONDITION_FAILED },
    { name: "If-Match of what is not there", options: [match()], found: absent, code: CODE.NOT_FOUND },
    { name: "If-None-Match of what exists", options: [NONE_MATCH], found: tagged, code: CODE.PRECONDITION_FAILED },
    { name: "If-None-Match of what is not there", options: [NONE_MATCH], found: absent, code: CODE.NOT_FOUND },
    { name: "both, of what exists", options: [match(), NONE_MATCH], found: tagged, code: CODE.PRECONDITION_FAILED },
  ])("GET: $name", async ({ options, found, code }) => {
    const { clock, peer } = serveEndpoint({ handler: () => found });
    const client = peer();
    client.send({ options });
    await clock.advance(10);
    expect(client.take()).toMatchObject({ type: ACK, code });
  });

  test("an observation whose condition is not met is not begun", async () => {
    const attach = vi.fn();
    const { clock, peer, endpoint } = serveEndpoint({ handler: () => ({ ...tagged, observation: { attach } }) });
    const client = peer();
    client.send({ options: [match(1), uintOption(OPTION.OBSERVE, 0)] });
    await clock.advance(10);
    expect(client.take()).toMatchObject({ code: CODE.PRECONDITION_FAILED });
    expect(attach).not.toHaveBeenCalled();
    expect(endpoint.tableSizes().observers).toBe(0);
  });

  test.each([
    { name: "If-Match", option: match() },
    { name: "If-None-Match", option: NONE_MATCH },
  ])("a change with $name is refused where the handler does not evaluate it", async ({ option }) => {
    const plain = vi.fn(hello);
    const { clock, peer } = serveEndpoint({ handler: plain });
    const client = peer();
    client.send({ code: METHOD.DELETE, options: [option] });
    await clock.advance(10);
    expect(client.take()).toMatchObject({ type: ACK, code: CODE.BAD_OPTION });
    expect(plain).not.toHaveBeenCalled();
  });

  test("a handler that evaluates conditions is given them", async () => {
    let seen: ServerRequest | undefined;
    const handler = (request: ServerRequest) => {
      seen = request;
      return { code: CODE.DELETED };
    };
    const { clock, peer } = serveEndpoint({ handler: Object.assign(handler, { evaluatesPreconditions: true }) });
    peer().send({ code: METHOD.DELETE, options: [match(1), match(2), NONE_MATCH] });
    await clock.advance(10);
    expect(seen?.precondition).toEqual({ ifMatch: [Uint8Array.of(1), Uint8Array.of(2)], ifNoneMatch: true });
  });
});

describe("RFC 7252 section 5.4: options", () => {
  test.each([
    { name: "unknown critical", options: [{ number: 65_001, value: Uint8Array.of(1) }], code: CODE.BAD_OPTION },
    { name: "OSCORE", options: [{ number: 9, value: Uint8Array.of(1) }], code: CODE.BAD_OPTION },
    { name: "repeated Accept", options: [uintOption(17, 40), uintOption(17, 50)], code: CODE.BAD_OPTION },
    { name: "Accept of 3 bytes", options: [{ number: 17, value: new Uint8Array(3) }], code: CODE.BAD_OPTION },
    { name: "Block2 of 4 bytes", options: [{ number: 23, value: new Uint8Array(4) }], code: CODE.BAD_OPTION },
    { name: "If-None-Match with a value", options: [{ number: 5, value: Uint8Array.of(1) }], code: CODE.BAD_OPTION },
    { name: "empty Uri-Host", options: [{ number: 3, value: new Uint8Array(0) }], code: CODE.BAD_OPTION },
    { name: "Uri-Path of 256 bytes", options: [{ number: 11, value: new Uint8Array(256) }], code: CODE.BAD_OPTION },
    {
      name: "Uri-Path that is not UTF-8",
      options: [{ number: 11, value: Uint8Array.of(0xff) }],
      code: CODE.BAD_REQUEST,
    },
    {
      name: "Uri-Query that is not UTF-8",
      options: [{ number: 15, value: Uint8Array.of(0xc3) }],
      code: CODE.BAD_REQUEST,
    },
    { name: "Hop-Limit 0", options: [{ number: 16, value: Uint8Array.of(0) }], code: CODE.BAD_REQUEST },
    {
      name: "Proxy-Uri",
      options: [{ number: 35, value: Buffer.from("coap://x/") }],
      code: CODE.PROXYING_NOT_SUPPORTED,
    },
    { name: "Proxy-Scheme", options: [{ number: 39, value: Buffer.from("coap") }], code: CODE.PROXYING_NOT_SUPPORTED },
    { name: "unknown elective", options: [{ number: 65_000, value: Uint8Array.of(1) }], code: CODE.CONTENT },
    {
      name: "Uri-Host and Uri-Port",
      options: [{ number: 3, value: Buffer.from("rd.example") }, uintOption(7, 5683)],
      code: CODE.CONTENT,
    },
    { name: "If-Match of 9 bytes", options: [{ number: 1, value: new Uint8Array(9) }], code: CODE.BAD_OPTION },
    {
      name: "repeated If-None-Match",
      options: [NONE_MATCH, NONE_MATCH],
      code: CODE.BAD_OPTION,
    },
    ...[128, 132, 136, 140].flatMap((number) => [
      { name: `${number} beside Location-Path`, options: [LOCATION, { number, value: ONE }], code: CODE.BAD_OPTION },
      { name: `${number} alone`, options: [{ number, value: ONE }], code: CODE.CONTENT },
    ]),
    {
      name: "136 beside Location-Query",
      options: [
        { number: OPTION.LOCATION_QUERY, value: ONE },
        { number: 136, value: ONE },
      ],
      code: CODE.BAD_OPTION,
    },
    { name: "Location-Path alone", options: [LOCATION], code: CODE.CONTENT },
    { name: "Content-Format of 3 bytes", options: [{ number: 12, value: new Uint8Array(3) }], code: CODE.CONTENT },
    { name: "ETag of 9 bytes", options: [{ number: 4, value: new Uint8Array(9) }], code: CODE.CONTENT },
    { name: "Observe 2", options: [uintOption(6, 2)], code: CODE.CONTENT },
  ])("REG-31 COA-03 COA-09 $name", async ({ options, code }) => {
    const { clock, peer } = serveEndpoint({ handler: hello });
    const client = peer();
    client.send({ options });
    await clock.advance(10);
    expect(client.take()).toMatchObject({ type: ACK, code });
  });

  test("a non-confirmable request with an unknown critical option is ignored", async () => {
    const { clock, peer, endpoint } = serveEndpoint({ handler: hello });
    const client = peer();
    client.send({ type: NON, options: [{ number: 65_001, value: Uint8Array.of(1) }] });
    await clock.advance(10_000);
    expect(client.inbox).toHaveLength(0);
    expect(endpoint.counters.rejected.get("unknown-critical-option")).toBe(1);
  });

  test("LKP-36 the handler sees decoded options; percent signs are literal", async () => {
    let seen: ServerRequest | null = null;
    const { clock, peer } = serveEndpoint({
      handler: (request) => {
        seen = request;
        return hello();
      },
    });
    peer().send({
      code: METHOD.POST,
      path: "/rd",
      query: ["ep=n%201", "d=a&b", "ü=ß"],
      options: [
        { number: OPTION.URI_PATH, value: Buffer.from("a/b") },
        { number: OPTION.URI_PATH, value: new Uint8Array(0) },
        { number: OPTION.URI_HOST, value: Buffer.from("rd.example") },
        uintOption(OPTION.URI_PORT, 5684),
        uintOption(OPTION.CONTENT_FORMAT, 40),
        uintOption(OPTION.ACCEPT, 51),
        uintOption(OPTION.HOP_LIMIT, 16),
        { number: OPTION.ETAG, value: Uint8Array.of(0xff, 0x80) },
        { number: OPTION.ETAG, value: Uint8Array.of(1) },
        { number: OPTION.ECHO, value: Uint8Array.of(7) },
      ],
      payload: "</x>",
    });
    await clock.advance(10);
    expect(seen).toMatchObject({
      method: METHOD.POST,
      path: ["rd", "a/b", ""],
      query: ["ep=n%201", "d=a&b", "ü=ß"],
      uriHost: "rd.example",
      uriPort: 5684,
      contentFormat: 40,
      accept: 51,
      hopLimit: 16,
      isMulticast: false,
      scheme: "coap",
      local: { address: "2001:db8::1", port: 5683 },
      peer: { transport: "udp", address: "2001:db8::2", port: 40_000 },
    });
    const request = seen as ServerRequest | null;
    expect(request?.etags.map((etag) => [...etag])).toEqual([[0xff, 0x80], [1]]);
    expect([...(request?.echo ?? [])]).toEqual([7]);
    expect(request?.options).toHaveLength(14);
    expect(text(request?.payload ?? new Uint8Array(0))).toBe("</x>");
  });

  test("a link-local peer is given with its zone apart, and answered there", async () => {
    let zone: string | undefined;
    const { clock, peer } = serveEndpoint({
      handler: (request) => {
        zone = request.peer.zone;
        return { code: CODE.CONTENT, payload: Buffer.from(request.peer.address) };
      },
    });
    const client = peer("fe80::2%eth0");
    client.send({});
    await clock.advance(10);
    expect(text(client.take().payload)).toBe("fe80::2");
    expect(zone).toBe("eth0");
  });

  test("all fields of an answer become options, in order", async () => {
    const { clock, peer } = serveEndpoint({
      handler: () => ({
        code: CODE.CREATED,
        etag: Uint8Array.of(1),
        locationPath: ["reg", "42"],
        locationQuery: ["a=b"],
        contentFormat: 0,
        maxAgeS: 300,
        echo: Uint8Array.of(5),
        options: [
          { number: 65_000, value: Uint8Array.of(9) },
          { number: 13, value: Uint8Array.of(8) },
        ],
      }),
    });
    const client = peer();
    client.send({ code: METHOD.POST });
    await clock.advance(10);
    const seen = client.take().options.map(({ number, value }) => [number, Buffer.from(value).toString("hex")]);
    expect(seen).toEqual([
      [4, "01"],
      [8, "726567"],
      [8, "3432"],
      [12, ""],
      [13, "08"],
      [14, "012c"],
      [20, "613d62"],
      [252, "05"],
      [65_000, "09"],
    ]);
  });

  test.each([
    { name: "2.05, not wanted", value: 2, code: CODE.CONTENT, isSent: false },
    { name: "2.05, errors not wanted", value: 24, code: CODE.CONTENT, isSent: true },
    { name: "4.04, not wanted", value: 8, code: CODE.NOT_FOUND, isSent: false },
    { name: "5.00, not wanted", value: 16, code: CODE.INTERNAL, isSent: false },
    { name: "5.00, all else not wanted", value: 10, code: CODE.INTERNAL, isSent: true },
    { name: "2.05, everything wanted", value: 0, code: CODE.CONTENT, isSent: true },
  ])("COA-09 No-Response: $name", async ({ value, code, isSent }) => {
    const { clock, peer } = serveEndpoint({ handler: () => ({ code }) });
    const client = peer();
    const options = [{ number: OPTION.NO_RESPONSE, value: encodeUint(value) }];
    client.send({ options });
    client.send({ options, type: NON });
    await clock.advance(10);
    expect(client.take()).toMatchObject({ type: ACK, code: isSent ? code : 0 });
    expect(client.inbox).toHaveLength(isSent ? 1 : 0);
  });

  test("an unknown method is 4.05", async () => {
    const { clock, peer } = serveEndpoint({ handler: hello });
    const client = peer();
    client.send({ code: 8 });
    await clock.advance(10);
    expect(client.take().code).toBe(CODE.METHOD_NOT_ALLOWED);
  });
});
