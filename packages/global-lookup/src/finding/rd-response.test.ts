import { type ClientResponse, CODE } from "@tributary/coap-transport";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { generateAnnouncerKey } from "../record/announcer-key.js";
import { keyName, writeProof } from "../record/endpoint-proof.js";
import { readRdResponse } from "./rd-response.js";

const NOW_S = 1_800_000_000;
const rd = generateAnnouncerKey();
const FROM = { uri: "coap://192.0.2.1", name: "n", announcer: rd.publicKey, nowS: NOW_S };

function response(payload: string | Uint8Array, more: Partial<ClientResponse> = {}): ClientResponse {
  return {
    code: CODE.CONTENT,
    contentFormat: 40,
    maxAgeS: 60,
    locationPath: [],
    locationQuery: [],
    options: [],
    payload: typeof payload === "string" ? new TextEncoder().encode(payload) : payload,
    peer: { address: "192.0.2.1", port: 5683, key: "", transport: "udp" },
    wireBytes: 100,
    ...more,
  };
}

function linksOf(one: ClientResponse, name = FROM.name) {
  const read = readRdResponse(one, { ...FROM, name });
  return read === "expired" ? { kind: "expired" } : { links: read?.links };
}

/** Number of registrations that are read; null: it is no response to a lookup. */
function read(payload: string, more: Partial<ClientResponse> = {}): number | null {
  return linksOf(response(payload, more)).links?.length ?? null;
}

describe("responses of RDs of the pool", () => {
  test.each([
    { name: "a registration", payload: '</reg/1>;ep="n";base="coap://192.0.2.1:10000"', want: 1 },
    {
      name: "one in each of two sectors",
      payload: '</reg/1>;ep=n;d=x;base="coap://h",</reg/2>;ep=n;d=y;base="coap://h"',
      want: 2,
    },
    { name: "nothing", payload: "", want: 0 },
    { name: "one of another name", payload: '</reg/1>;ep="m";base="coap://192.0.2.1:10000"', want: null },
    { name: "one without a base", payload: '</reg/1>;ep="n"', want: null },
    { name: "one with two bases", payload: '</reg/1>;ep="n";base="coap://h";base="coap://i"', want: null },
    { name: "a base at this host", payload: '</reg/1>;ep="n";base="coap://127.0.0.1:22"', want: null },
    { name: "a base at this link", payload: '</reg/1>;ep="n";base="coap://[fe80::1]"', want: null },
    {
      name: "an alternative at this host",
      payload: '</reg/1>;ep="n";base="coap://h";at="coap+tcp://h coap://localhost"',
      want: null,
    },
    {
      name: "a registration resource at this host",
      payload: '<coap://[::1]/reg/1>;ep="n";base="coap://h"',
      want: null,
    },
    { name: "a base that is no URI", payload: '</reg/1>;ep="n";base="coap://["', want: null },
    { name: "rubbish", payload: "<<<", want: null },
  ])("$name", ({ payload, want }) => {
    expect(read(payload)).toBe(want);
  });

  test.each([{ code: CODE.NOT_FOUND }, { code: CODE.VALID }, { contentFormat: 60 }])("%o is no response", (more) => {
    expect(read('</reg/1>;ep="n";base="coap://h"', more)).toBeNull();
  });

  test("under the name of a key, only registrations with its proof for this RD count", () => {
    const endpoint = generateAnnouncerKey();
    const name = keyName(endpoint.publicKey);
    const until = { expiresAtS: NOW_S + 60 };
    const proofs = [rd, generateAnnouncerKey()].map(({ publicKey }) =>
      writeProof(endpoint, { announcer: publicKey, ...until }),
    );
    const shown = proofs.map((proof, at) => `</reg/${at}>;ep="${name}";base="coap://h${at}";proof="${proof}"`);
    const links = (text: string) => linksOf(response(text), name).links?.map(({ target }) => target);
    expect(links(shown.join(","))).toEqual(["coap://192.0.2.1/reg/0"]);
    expect(links(shown[1] as string)).toBeUndefined();
    expect(links(`</reg/2>;ep="${name}";base="coap://h"`)).toBeUndefined();
    const over = writeProof(endpoint, { announcer: rd.publicKey, expiresAtS: NOW_S });
    const text = `</reg/0>;ep="${name}";base="coap://h";proof="${over}"`;
    expect(linksOf(response(text), name)).toEqual({ kind: "expired" });
  });

  test("no more links are used than a lookup gives", () => {
    const one = '</reg/1>;ep="n";base="coap://h"';
    expect(read(Array(50).fill(one).join(","))).toBe(16);
  });

  test("no bytes throw, and what is read has the name", () => {
    const part = fc.constantFrom(
      "<",
      ">",
      ";",
      ",",
      '"',
      "ep=n",
      "base=",
      "at=",
      "coap://",
      "[",
      "%",
      "/..",
      ":",
      "\\",
      " ",
    );
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc
        .array(fc.oneof(part, fc.string({ maxLength: 5 })), { maxLength: 30 })
        .map((parts) => new TextEncoder().encode(parts.join(""))),
      fc.string().map((target) => new TextEncoder().encode(`<${target}>;ep="n";base="coap:${target}"`)),
    );
    fc.assert(
      fc.property(anything, (payload) => {
        const links = linksOf(response(payload)).links ?? [];
        return links.every(({ attributes }) => attributes.some(([name, value]) => name === "ep" && value === "n"));
      }),
      { numRuns: 2000 },
    );
  });
});
