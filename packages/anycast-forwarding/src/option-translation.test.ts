import { type ClientResponse, CODE, type CoapOption, encodeUint, OPTION } from "@tributary/coap-transport";
import { describe, expect, test } from "vitest";
import { forwardedRequestOptions, forwardedResponse } from "./option-translation.js";

const option = (number: number, value: Uint8Array = new Uint8Array()): CoapOption => ({ number, value });

describe("RFC 7252 section 5.7.1: options of requests", () => {
  test.each([
    { name: "If-Match", number: OPTION.IF_MATCH },
    { name: "If-None-Match", number: OPTION.IF_NONE_MATCH },
    { name: "an unknown elective one that is safe", number: 2048 },
  ])("$name is passed on", ({ number }) => {
    expect(forwardedRequestOptions([option(number)])).toEqual([option(number)]);
  });

  test.each(
    Object.entries({
      "Uri-Host": OPTION.URI_HOST,
      "Uri-Path": OPTION.URI_PATH,
      "Max-Age": OPTION.MAX_AGE,
      Observe: OPTION.OBSERVE,
      Block1: OPTION.BLOCK1,
      Block2: OPTION.BLOCK2,
      Echo: OPTION.ECHO,
      "Hop-Limit": OPTION.HOP_LIMIT,
      "No-Response": OPTION.NO_RESPONSE,
      "Request-Tag": OPTION.REQUEST_TAG,
    }),
  )("%s is of one hop, or has a field of its own", (_name, number) => {
    expect(forwardedRequestOptions([option(number)])).toEqual([]);
  });

  test("an unknown unsafe one refuses the request, elective or not", () => {
    expect(forwardedRequestOptions([option(OPTION.URI_PATH), option(2050)])).toBeNull();
    expect(forwardedRequestOptions([option(2051)])).toBeNull();
  });
});

describe("RFC 7252 section 5.7.1: responses", () => {
  const response = (more: Partial<ClientResponse>): ClientResponse => ({
    code: CODE.CREATED,
    maxAgeS: 60,
    locationPath: [],
    locationQuery: [],
    options: [],
    payload: new Uint8Array(),
    peer: { key: "", transport: "udp", address: "::1", port: 5683 },
    wireBytes: 0,
    ...more,
  });

  test("LPX-18 the location is that of the RD, with its name", () => {
    expect(forwardedResponse(response({ locationPath: ["reg", "rd-c", "42"], locationQuery: ["a"] }))).toEqual({
      code: CODE.CREATED,
      locationPath: ["reg", "rd-c", "42"],
      locationQuery: ["a"],
      payload: new Uint8Array(),
    });
  });

  test("representation and its age", () => {
    const etag = Uint8Array.of(1, 2);
    const options = [option(OPTION.ETAG, etag), option(OPTION.MAX_AGE, encodeUint(5)), option(OPTION.BLOCK2)];
    expect(forwardedResponse(response({ code: CODE.CONTENT, contentFormat: 40, etag, maxAgeS: 5, options }))).toEqual({
      code: CODE.CONTENT,
      contentFormat: 40,
      etag,
      maxAgeS: 5,
      payload: new Uint8Array(),
    });
  });

  test("an unknown safe option is passed on, an unsafe one is 5.02", () => {
    expect(forwardedResponse(response({ options: [option(2048)] })).options).toEqual([option(2048)]);
    expect(forwardedResponse(response({ options: [option(2050)] })).code).toBe(CODE.BAD_GATEWAY);
  });
});
