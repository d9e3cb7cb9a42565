import { encode } from "cborg";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_RECORD_BYTES, RECORD_CONTEXT } from "../constants.js";
import { generateAnnouncerKey } from "./announcer-key.js";
import { isEndpointName, nameKey } from "./name-key.js";
import { canonicalAddress, readRecord, writeRecord } from "./rd-record.js";

const NOW_S = 1_800_000_000;
const key = generateAnnouncerKey();
const written = { sequence: 7, expiresAtS: NOW_S + 60, uris: ["coap://[2001:db8::1]", "coap+tcp://192.0.2.1:7683"] };

/** A record with the signature of `signer` over any body. */
function signed(body: unknown, signer = key): Uint8Array {
  const bytes = encode(body);
  return encode([bytes, signer.sign(Buffer.concat([Buffer.from(`${RECORD_CONTEXT}\0`), bytes]))]);
}

function causeOf(bytes: Uint8Array, nowS = NOW_S): string {
  const read = readRecord(bytes, key.publicKey, nowS);
  return read.ok ? "read" : read.cause;
}

describe("records of announcers", () => {
  test("what is written is read", () => {
    expect(readRecord(writeRecord(key, written), key.publicKey, NOW_S)).toEqual({ ok: true, record: written });
  });

  test("the largest record fits into its bound", () => {
    const uris = Array.from({ length: 8 }, () => "coap+tcp://[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
    expect(writeRecord(key, { ...written, uris }).length).toBeLessThanOrEqual(MAX_RECORD_BYTES);
  });

  test("it ends at its end", () => {
    const bytes = writeRecord(key, written);
    expect([causeOf(bytes, NOW_S + 59), causeOf(bytes, NOW_S + 60)]).toEqual(["read", "expired"]);
  });

  const other = generateAnnouncerKey();
  test.each([
    { name: "of somebody else", bytes: writeRecord(other, written), want: "forged" },
    {
      name: "in the name of somebody else",
      bytes: signed([1, key.publicKey, 7, NOW_S + 60, ["coap://192.0.2.1"]], other),
      want: "forged",
    },
    { name: "without addresses", bytes: writeRecord(key, { ...written, uris: [] }), want: "withdrawn" },
    { name: "too large", bytes: new Uint8Array(MAX_RECORD_BYTES + 1), want: "too-large" },
    { name: "nothing", bytes: new Uint8Array(), want: "malformed" },
    { name: "text", bytes: encode("record"), want: "malformed" },
    {
      name: "of another version",
      bytes: signed([2, key.publicKey, 7, NOW_S + 60, ["coap://192.0.2.1"]]),
      want: "malformed",
    },
    {
      name: "with more members",
      bytes: signed([1, key.publicKey, 7, NOW_S + 60, ["coap://192.0.2.1"], 0]),
      want: "malformed",
    },
    {
      name: "with a negative sequence",
      bytes: signed([1, key.publicKey, -1, NOW_S + 60, ["coap://192.0.2.1"]]),
      want: "malformed",
    },
    {
      name: "valid for years",
      bytes: signed([1, key.publicKey, 7, NOW_S + 86_401, ["coap://192.0.2.1"]]),
      want: "malformed",
    },
    {
      name: "with nine addresses",
      bytes: signed([1, key.publicKey, 7, NOW_S + 60, Array(9).fill("coap://192.0.2.1")]),
      want: "malformed",
    },
    {
      name: "with names only",
      bytes: signed([1, key.publicKey, 7, NOW_S + 60, ["coap://rd.example.com"]]),
      want: "malformed",
    },
  ])("one $name is $want", ({ bytes, want }) => {
    expect(causeOf(bytes)).toBe(want);
  });

  test("a single changed bit is noticed", () => {
    const bytes = writeRecord(key, written);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Uint8Array.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(causeOf(changed)).not.toBe("read");
    }
  });

  test("no bytes throw", () => {
    const anything = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.anything().map(toBytes));
    fc.assert(fc.property(anything, (bytes) => causeOf(bytes) !== "read"));
  });

  test.each([
    { uri: "coap://[2001:DB8:0::1]:5683", want: "coap://[2001:db8::1]" },
    { uri: "coap+tcp://192.0.2.1", want: "coap+tcp://192.0.2.1" },
    { uri: "coap://[fe80::1%25eth0]", want: null },
    { uri: "coap://192.0.2.1:0", want: null },
    { uri: "coap://192.0.2.1/rd", want: null },
    { uri: "coap://192.0.2.1?x", want: null },
    { uri: "http://192.0.2.1", want: null },
    { uri: `coap://${"a".repeat(200)}`, want: null },
    { uri: 7, want: null },
  ])("the address $uri is $want", ({ uri, want }) => {
    expect(canonicalAddress(uri)).toBe(want);
  });
});

describe("names", () => {
  test("the key of a name is the same everywhere", () => {
    expect(Buffer.from(nameKey("node1")).toString("hex")).toBe(
      "fa5226a622bd3308439097c92f38b9e5ec0ffa6dd3b72fa47863ff6f4fab909d",
    );
  });

  test.each([
    { name: "node1", want: true },
    { name: "", want: false },
    { name: "ä".repeat(32), want: false },
    { name: "a\nb", want: false },
  ])("$name can be a name: $want", ({ name, want }) => {
    expect(isEndpointName(name)).toBe(want);
  });
});

/** Something as CBOR, where there is an encoding. */
function toBytes(value: unknown): Uint8Array {
  try {
    return encode(value);
  } catch {
    return new Uint8Array();
  }
}
