import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sortOptions } from "../message/option-codec.js";
import { fromHex } from "../testing/raw-peer.js";
import { emptyMessage, encodeDatagram, parseDatagram } from "./message-codec.js";

describe("RFC 7252 section 3: reading", () => {
  test("a request with token, options and payload", () => {
    // CON GET 0x7d34, token 0x20, Uri-Path "temperature" (the RFC's own example, with a payload added)
    const message = parseDatagram(fromHex("41 01 7d34 20 bb 74656d7065726174757265 ff 3232"));
    expect(message).toMatchObject({ kind: "message", type: 0, code: 1, messageId: 0x7d34, wireBytes: 20 });
    if (message?.kind !== "message") throw new Error("not parsed");
    expect(message.options).toHaveLength(1);
    expect(message.options[0]?.number).toBe(11);
    expect(Buffer.from(message.options[0]?.value ?? []).toString()).toBe("temperature");
    expect(Buffer.from(message.token).toString("hex")).toBe("20");
    expect(Buffer.from(message.payload).toString()).toBe("22");
  });

  test.each([
    { name: "delta of 13 with one more byte", hex: "40010001 d0 ff", number: 268, length: 0 },
    { name: "delta of 14 with two more bytes", hex: "40010001 e0 fef2", number: 65_535, length: 0 },
    { name: "length of 13 with one more byte", hex: `40010001 1d 00 ${"61".repeat(13)}`, number: 1, length: 13 },
    { name: "length of 14 with two more bytes", hex: `40010001 1e 0000 ${"61".repeat(269)}`, number: 1, length: 269 },
  ])("option with $name", ({ hex, number, length }) => {
    const message = parseDatagram(fromHex(hex));
    if (message?.kind !== "message") throw new Error("not parsed");
    expect(message.options.map((option) => [option.number, option.value.length])).toEqual([[number, length]]);
  });

  test.each([
    { name: "nothing", hex: "" },
    { name: "three bytes", hex: "400100" },
    { name: "version 0", hex: "00010001" },
    { name: "version 2", hex: "80010001" },
    { name: "version 3", hex: "c0010001" },
  ])("COA-01 ignored: $name", ({ hex }) => {
    expect(parseDatagram(fromHex(hex))).toBeNull();
  });

  test.each([
    { name: "token length 9", hex: "49010001 010203040506070809" },
    { name: "token length 15", hex: "4f010001 0102030405060708090a0b0c0d0e0f" },
    { name: "token cut short", hex: "44010001 0102" },
    { name: "Empty with token", hex: "41000001 01" },
    { name: "Empty with payload", hex: "40000001 ff 61" },
    { name: "marker without payload", hex: "40010001 ff" },
    { name: "delta 15", hex: "40010001 f0" },
    { name: "length 15", hex: "40010001 0f" },
    { name: "value cut short", hex: "40010001 b5 61" },
    { name: "extended delta cut short", hex: "40010001 d0" },
    { name: "two-byte delta cut short", hex: "40010001 e0 00" },
    { name: "extended length cut short", hex: "40010001 0d" },
    { name: "option number beyond 65535", hex: "40010001 e0 fef2 10" },
    { name: "513 options", hex: `40010001 ${"00".repeat(513)}` },
  ])("COA-01 COA-02 message format error: $name", ({ hex }) => {
    expect(parseDatagram(fromHex(hex))).toEqual({ kind: "malformed", type: 0, messageId: 1 });
  });
});

const option = fc.record({ number: fc.integer({ min: 0, max: 65_535 }), value: fc.uint8Array({ maxLength: 600 }) });

test("what is written is read back", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 0, max: 65_535 }),
      fc.uint8Array({ maxLength: 8 }),
      fc.integer({ min: 1, max: 255 }),
      fc.array(option, { maxLength: 20 }),
      fc.uint8Array({ maxLength: 2000 }),
      (type, messageId, token, code, unsorted, payload) => {
        const options = sortOptions([...unsorted]);
        const read = parseDatagram(encodeDatagram(type, messageId, token, { code, options, payload }));
        if (read?.kind !== "message") throw new Error("not parsed");
        expect(read).toMatchObject({ type, messageId, code });
        expect([...read.token]).toEqual([...token]);
        expect([...read.payload]).toEqual([...payload]);
        expect(read.options.map(({ number, value }) => [number, ...value])).toEqual(
          options.map(({ number, value }) => [number, ...value]),
        );
      },
    ),
  );
});

test("any bytes are read, refused or ignored, never more", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const framed = Uint8Array.from([0x40 | ((bytes[0] ?? 0) & 0x3f), ...bytes.subarray(1)]);
      const message = parseDatagram(framed);
      if (message?.kind === "message") {
        const end = message.options.reduce((sum, { value }) => sum + value.length, message.payload.length);
        expect(end).toBeLessThanOrEqual(framed.length);
      }
    }),
  );
});

test("options of equal number keep their order", () => {
  const options = [3, 1, 3, 2, 3].map((number, index) => ({ number, value: Uint8Array.of(index) }));
  expect(sortOptions(options).map(({ number, value }) => [number, value[0]])).toEqual([
    [1, 1],
    [2, 3],
    [3, 0],
    [3, 2],
    [3, 4],
  ]);
});

test("an Empty message is four bytes", () => {
  expect(Buffer.from(emptyMessage(3, 0x1234)).toString("hex")).toBe("70001234");
});
