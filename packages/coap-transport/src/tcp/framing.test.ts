import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Message, OutgoingMessage } from "../message/message.js";
import { sortOptions } from "../message/option-codec.js";
import { fromHex } from "../testing/raw-peer.js";
import { encodeFrame, type FramingResult, StreamParser } from "./framing.js";

const MAX_BYTES = 100_000;
const plain = (payload: Uint8Array): OutgoingMessage => ({ code: 69, options: [], payload });

/** All messages, and how it ended. */
function readAll(chunks: Iterable<Uint8Array>, maxMessageBytes = MAX_BYTES) {
  const parser = new StreamParser({ maxMessageBytes });
  const messages: Message[] = [];
  let heldBytes = 0;
  let end: FramingResult = null;
  for (const chunk of chunks) {
    parser.push(chunk);
    for (end = parser.next(); end !== null && typeof end === "object"; end = parser.next()) messages.push(end);
    heldBytes = Math.max(heldBytes, parser.heldBytes);
  }
  return { messages, end, heldBytes };
}

function chunksOf(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((one, other) => one - other);
  return [...places, bytes.length].map((place, index) => bytes.slice(places[index - 1] ?? 0, place));
}

const message = fc.record({
  token: fc.uint8Array({ maxLength: 8 }),
  code: fc.nat(255),
  options: fc
    .array(fc.record({ number: fc.nat(65_535), value: fc.uint8Array({ maxLength: 300 }) }), { maxLength: 5 })
    .map(sortOptions),
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.nat(70_000).map((length) => new Uint8Array(length)),
  ),
});

describe("RFC 8323 section 3.2", () => {
  test("COA-07 the example of the specification", () => {
    expect(readAll([fromHex("01 43 7f")]).messages).toMatchObject([{ code: 0x43, token: Uint8Array.of(0x7f) }]);
    expect(
      Buffer.from(encodeFrame(Uint8Array.of(0x7f), { ...plain(new Uint8Array()), code: 0x43 })).toString("hex"),
    ).toBe("01437f");
  });

  test.each([
    { name: "12: none", length: 11, header: "c0" },
    { name: "13: one byte", length: 12, header: "d000" },
    { name: "268: one byte", length: 267, header: "d0ff" },
    { name: "269: two bytes", length: 268, header: "e00000" },
    { name: "65804: two bytes", length: 65_803, header: "e0ffff" },
    { name: "65805: four bytes", length: 65_804, header: "f000000000" },
  ])("COA-07 extended length of $name", ({ length, header }) => {
    const frame = encodeFrame(new Uint8Array(), plain(new Uint8Array(length)));
    expect(Buffer.from(frame).toString("hex").startsWith(`${header}45ff`)).toBe(true);
    expect(readAll([frame]).messages.map(({ payload }) => payload.length)).toEqual([length]);
  });

  test("a message of the largest size is read, one byte more is not", () => {
    const frame = encodeFrame(Uint8Array.of(1), plain(new Uint8Array(500)));
    expect(readAll([frame], frame.length).messages).toHaveLength(1);
    expect(readAll([frame], frame.length - 1)).toMatchObject({ messages: [], end: "too-large" });
  });

  test.each([
    { name: "token of 9 bytes", hex: "09 45 01", end: "malformed" },
    { name: "payload marker without payload", hex: "10 45 ff", end: "malformed" },
    { name: "option cut short", hex: "10 45 04", end: "malformed" },
    { name: "4 GiB announced", hex: "f0 ff ff ff ff 45", end: "too-large" },
  ])("$name: $end, and nothing after it is read", ({ hex, end }) => {
    expect(readAll([fromHex(hex), encodeFrame(new Uint8Array(), plain(Uint8Array.of(1)))])).toMatchObject({
      messages: [],
      end,
    });
  });

  test("any chunking yields the same messages", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 12 }), (messages, cuts) => {
        const stream = Buffer.concat(messages.map(({ token, ...outgoing }) => encodeFrame(token, outgoing)));
        const { messages: read, end } = readAll(chunksOf(stream, cuts));
        expect(end).toBe(null);
        expect(read.length).toBe(messages.length);
        for (const [index, { wireBytes: _wireBytes, ...got }] of read.entries()) {
          const { token, options, code, payload } = messages[index] as (typeof messages)[number];
          expect(got.code).toBe(code);
          expect(Buffer.compare(got.token, token)).toBe(0);
          expect(Buffer.compare(got.payload, payload)).toBe(0);
          expect(got.options.map(({ number, value }) => [number, ...value])).toEqual(
            options.map(({ number, value }) => [number, ...value]),
          );
        }
      }),
      { numRuns: 300 },
    );
  });

  test("hostile bytes in any chunks: no crash, and nothing held beyond a message and a chunk", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 100 }), { maxLength: 60 }), (chunks) => {
        expect(readAll(chunks, 300).heldBytes).toBeLessThanOrEqual(400);
      }),
      { numRuns: 2000 },
    );
  });

  test("a large message byte by byte, and 100,000 small ones in one chunk, take linear time", () => {
    const large = encodeFrame(new Uint8Array(), plain(new Uint8Array(MAX_BYTES - 10)));
    const before = process.cpuUsage();
    expect(readAll(Array.from(large, (byte) => Uint8Array.of(byte))).messages).toHaveLength(1);
    const small = encodeFrame(new Uint8Array(), plain(Uint8Array.of(1)));
    expect(readAll([Buffer.concat(Array(100_000).fill(small))]).messages).toHaveLength(100_000);
    // CPU time, because others may use the machine as well; quadratic would be minutes.
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(10_000);
  });
});
