import { encodeDatagram, type OutgoingMessage, parseDatagram } from "@tributary/coap-transport";
import { describe, expect, test } from "vitest";
import { SecurityContext } from "./context/security-context.js";
import type { ContextState, StateStore } from "./context/sequence-numbers.js";
import { DEFAULT_ALGORITHM } from "./crypto/algorithms.js";
import { makeAad } from "./crypto/external-aad.js";
import { type ContextParameters, deriveKeys, makeNonce } from "./crypto/keys.js";
import { decodeHeader, encodeHeader } from "./message/oscore-option.js";

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");

const SECRET = "0102030405060708090a0b0c0d0e0f10";
const SALT = "9e7ca92223786340";
const ID_CONTEXT = "37cbf3210017a2d3";

/** Contexts of RFC 8613 appendix C.1 to C.3, as the client has them. */
const CLIENTS = {
  "C.1": { salt: SALT, sender: "", recipient: "01" },
  "C.2": { salt: "", sender: "00", recipient: "01" },
  "C.3": { salt: SALT, sender: "", recipient: "01", idContext: ID_CONTEXT },
};

interface Ids {
  readonly salt: string;
  readonly sender: string;
  readonly recipient: string;
  readonly idContext?: string;
}

function parameters({ salt, sender, recipient, idContext }: Ids): ContextParameters {
  return {
    algorithm: DEFAULT_ALGORITHM,
    hash: "sha256",
    masterSecret: hex(SECRET),
    masterSalt: hex(salt),
    senderId: hex(sender),
    recipientId: hex(recipient),
    ...(idContext === undefined ? {} : { idContext: hex(idContext) }),
  };
}

function mirrored(ids: Ids): Ids {
  return { ...ids, sender: ids.recipient, recipient: ids.sender };
}

/** A store in memory that starts at a sequence number. */
function storeAt(nextToSend: number): StateStore {
  const state: ContextState = { nextToSend, received: { index: 0, bitfield: 0n } };
  return { load: () => state, save: () => {}, saveLater: async () => {}, close: () => {} };
}

function contextAt(ids: Ids, nextToSend: number): SecurityContext {
  const deps = {
    store: storeAt(nextToSend),
    randomBytes: (length: number) => new Uint8Array(length),
    onError: () => {},
  };
  return new SecurityContext(deps, parameters(ids), 32);
}

function parse(datagram: string) {
  const bytes = hex(datagram);
  const result = parseDatagram(bytes);
  if (result === null || !("code" in result)) throw new Error("not a datagram");
  return result;
}

/** The datagram with the type, message ID and token of `like`. */
function datagram(like: string, message: OutgoingMessage): string {
  const { type, messageId, token } = parse(like);
  return text(encodeDatagram(type, messageId, token, message));
}

function headerOf(message: { options: readonly { number: number; value: Uint8Array }[] }) {
  const header = decodeHeader(message.options.find(({ number }) => number === 9)?.value ?? hex(""));
  if (header === null) throw new Error("no header");
  return header;
}

describe("appendix C.1 to C.3: key derivation", () => {
  test.each([
    {
      name: "C.1",
      senderKey: "f0910ed7295e6ad4b54fc793154302ff",
      recipientKey: "ffb14e093c94c9cac9471648b4f98710",
      commonIv: "4622d4dd6d944168eefb54987c",
      senderNonce: "4622d4dd6d944168eefb54987c",
      recipientNonce: "4722d4dd6d944169eefb54987c",
    },
    {
      name: "C.2",
      senderKey: "321b26943253c7ffb6003b0b64d74041",
      recipientKey: "e57b5635815177cd679ab4bcec9d7dda",
      commonIv: "be35ae297d2dace910c52e99f9",
      senderNonce: "bf35ae297d2dace910c52e99f9",
      recipientNonce: "bf35ae297d2dace810c52e99f9",
    },
    {
      name: "C.3",
      senderKey: "af2a1300a5e95788b356336eeecd2b92",
      recipientKey: "e39a0c7c77b43f03b4b39ab9a268699f",
      commonIv: "2ca58fb85ff1b81c0b7181b85e",
      senderNonce: "2ca58fb85ff1b81c0b7181b85e",
      recipientNonce: "2da58fb85ff1b81d0b7181b85e",
    },
  ] as const)(
    "$name, client and server",
    ({ name, senderKey, recipientKey, commonIv, senderNonce, recipientNonce }) => {
      const ids = CLIENTS[name];
      const client = deriveKeys(parameters(ids));
      const server = deriveKeys(parameters(mirrored(ids)));
      expect(text(client.senderKey)).toBe(senderKey);
      expect(text(client.recipientKey)).toBe(recipientKey);
      expect(text(client.commonIv)).toBe(commonIv);
      expect(server).toEqual({
        senderKey: client.recipientKey,
        recipientKey: client.senderKey,
        commonIv: client.commonIv,
      });
      expect(text(makeNonce(client.commonIv, hex(ids.sender), hex("00")))).toBe(senderNonce);
      expect(text(makeNonce(client.commonIv, hex(ids.recipient), hex("00")))).toBe(recipientNonce);
    },
  );
});

describe("appendix C.4 to C.6: requests", () => {
  test.each([
    {
      name: "C.4",
      ids: CLIENTS["C.1"],
      request: "44015d1f00003974396c6f63616c686f737483747631",
      protected: "44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e",
      aad: "8368456e63727970743040488501810a40411440",
    },
    {
      name: "C.5",
      ids: CLIENTS["C.2"],
      request: "440171c30000b932396c6f63616c686f737483747631",
      protected: "440271c30000b932396c6f63616c686f737463091400ff4ed339a5a379b0b8bc731fffb0",
      aad: "8368456e63727970743040498501810a4100411440",
    },
    {
      name: "C.6",
      ids: CLIENTS["C.3"],
      request: "44012f8eef9bbf7a396c6f63616c686f737483747631",
      protected: "44022f8eef9bbf7a396c6f63616c686f73746b19140837cbf3210017a2d3ff72cd7273fd331ac45cffbe55c3",
      aad: "8368456e63727970743040488501810a40411440",
    },
  ])("$name", ({ ids, request, protected: wanted, aad }) => {
    expect(text(makeAad(DEFAULT_ALGORITHM, hex(ids.sender), hex("14")))).toBe(aad);
    const { message } = contextAt(ids, 20).protectRequest(parse(request));
    expect(datagram(request, message)).toBe(wanted);
    const received = parse(wanted);
    const opened = contextAt(mirrored(ids), 0).openRequest(received, headerOf(received));
    expect(datagram(request, opened.message)).toBe(request);
    expect(text(opened.binding.partialIv)).toBe("14");
  });
});

describe("appendix C.7 and C.8: responses", () => {
  const REQUEST = "44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e";
  const RESPONSE = "64455d1f00003974ff48656c6c6f20576f726c6421";

  test.each([
    {
      name: "C.7, with the nonce of the request",
      isFirst: true,
      protected: "64445d1f0000397490ffdbaad1e9a7e7b2a813d3c31524378303cdafae119106",
      number: null,
    },
    {
      name: "C.8, with a partial IV",
      isFirst: false,
      protected: "64445d1f00003974920100ff4d4c13669384b67354b2b6175ff4b8658c666a6cf88e",
      number: 0,
    },
  ])("$name", ({ isFirst, protected: wanted, number }) => {
    const server = contextAt(mirrored(CLIENTS["C.1"]), 0);
    const request = parse(REQUEST);
    const { binding } = server.openRequest(request, headerOf(request));
    const response = server.protectResponse(binding, parse(RESPONSE), isFirst);
    expect(datagram(RESPONSE, response)).toBe(wanted);
    const opened = contextAt(CLIENTS["C.1"], 0).openResponse(parse(wanted), { kid: hex(""), partialIv: hex("14") });
    expect(datagram(RESPONSE, opened.message)).toBe(RESPONSE);
    expect(opened.number).toBe(number);
  });
});

describe("section 6.3: examples of compressed COSE objects", () => {
  test.each([
    { name: "request, kid 25, partial IV 5", value: "090525", header: { kid: "25", partialIv: "05" } },
    { name: "request, empty kid, partial IV 0", value: "0900", header: { kid: "", partialIv: "00" } },
    {
      name: "request, empty kid, partial IV 5, kid context",
      value: "19050544616c656b",
      header: { kid: "", partialIv: "05", kidContext: "44616c656b" },
    },
    { name: "response", value: "", header: {} },
    { name: "response with partial IV 7", value: "0107", header: { partialIv: "07" } },
  ])("$name", ({ value, header }) => {
    const read = decodeHeader(hex(value));
    const shown = Object.fromEntries(Object.entries(read ?? {}).map(([key, bytes]) => [key, text(bytes)]));
    expect(shown).toEqual(header);
    expect(text(encodeHeader(read ?? {}))).toBe(value);
  });

  test.each([
    { name: "a byte of flags that are all zero", value: "00" },
    { name: "a reserved partial IV length", value: "06010203040506" },
    { name: "reserved flags", value: "2901" },
    { name: "a partial IV that is cut short", value: "0301" },
    { name: "bytes behind the end", value: "010705" },
  ])("refuses $name", ({ value }) => {
    expect(decodeHeader(hex(value))).toBeNull();
  });
});
