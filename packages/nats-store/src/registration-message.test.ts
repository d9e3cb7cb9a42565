import { createSecretKey } from "node:crypto";
import type { StoredRegistration } from "@tributary/resource-directory";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeRegistration,
  encodeRegistration,
  endpointHash,
  hashOfSubject,
  locationOf,
  subjectOf,
  timeToLiveS,
} from "./registration-message.js";

const REGISTRATION: StoredRegistration = {
  ...{ id: "x", ep: "node1", base: "coap://[2001:db8::1]", isBaseExplicit: true, ltS: 90, attributes: [["et", "oic"]] },
  ...{ links: "</t>;rt=temp", renewedAtWallMs: 7, stampMs: 8.5, isSimple: false },
};
const hash = endpointHash(REGISTRATION);
const times = { id: "y", storedAtWallMs: 9 };
const read = { id: "y", renewedAtWallMs: 9 };

describe("the subject of a registration", () => {
  test("is one for each (ep, d), whatever characters these have", () => {
    const names = fc.record({
      ep: fc.string({ unit: "binary" }),
      d: fc.option(fc.string({ unit: "binary" }), { nil: undefined }),
    });
    fc.assert(
      fc.property(names, names, ({ ep, d }, other) => {
        const one = d === undefined ? { ep } : { ep, d };
        const two = other.d === undefined ? { ep: other.ep } : { ep: other.ep, d: other.d };
        const isSame = one.ep === two.ep && one.d === two.d;
        expect(subjectOf("rd", one) === subjectOf("rd", two)).toBe(isSame);
        expect(hashOfSubject("rd", subjectOf("rd", one))).toBe(endpointHash(one));
      }),
    );
  });

  test.each(["rd.reg", "rd.reg.x", "rd.meta.secret", "other.reg.00000000000000000000000000000000", ""])(
    "%j is not one",
    (subject) => expect(hashOfSubject("rd", subject)).toBeUndefined(),
  );
});

test("paths are UUIDs of version 8 that depend on the secret", () => {
  const [one, other] = [createSecretKey(new Uint8Array(32)), createSecretKey(new Uint8Array(32).fill(1))];
  expect(locationOf(one, hash)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(locationOf(one, hash)).toBe(locationOf(one, hash));
  expect(locationOf(one, hash)).not.toBe(locationOf(other, hash));
});

test.each([
  { ltS: 60, ttlS: 180 },
  { ltS: 90_000, ttlS: 176_460 },
  { ltS: 4_294_967_295, ttlS: 4_294_967_295 },
])("a lifetime of $ltS s is forgotten after $ttlS s", ({ ltS, ttlS }) => expect(timeToLiveS({ ltS })).toBe(ttlS));

describe("the message of a registration", () => {
  test("has everything but its path and the time of its renewal", () => {
    expect(decodeRegistration(encodeRegistration(REGISTRATION), hash, times)).toEqual({ ...REGISTRATION, ...read });
    const { stampMs: _, ...rest } = REGISTRATION;
    const more = { ...rest, d: "s", zone: "eth0", isSimple: true };
    expect(decodeRegistration(encodeRegistration(more), endpointHash(more), times)).toEqual({ ...more, ...read });
  });

  test("says how old it was when it was stored", () => {
    const decoded = decodeRegistration(encodeRegistration(REGISTRATION, 5), hash, { id: "y", storedAtWallMs: 9 });
    expect(decoded).toMatchObject({ renewedAtWallMs: 4 });
  });

  const fields = JSON.parse(new TextDecoder().decode(encodeRegistration(REGISTRATION)));
  test.each([
    ["no JSON", "{"],
    ["no object", "[]"],
    ["null", "null"],
    ["another format", { ...fields, v: 2 }],
    ["another endpoint than its subject", { ...fields, ep: "node2" }],
    ["a sector that its subject lacks", { ...fields, d: "s" }],
    ["a lifetime of 0", { ...fields, ltS: 0 }],
    ["a lifetime that is no number", { ...fields, ltS: "90" }],
    ["attributes that are no pairs", { ...fields, attributes: [["et"]] }],
    ["an attribute that is an object", { ...fields, attributes: [["et", {}]] }],
    ["links that are no text", { ...fields, links: null }],
    ["a stamp that is no number", { ...fields, stampMs: "x" }],
    ["no base", { ...fields, base: undefined }],
    ["a renewal after it was stored", { ...fields, ageMs: -1 }],
    ["an age that is no number", { ...fields, ageMs: "1" }],
  ])("with %s is left out", (_what, value) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    expect(decodeRegistration(new TextEncoder().encode(text), hash, times)).toBeUndefined();
  });

  test("of arbitrary bytes is left out, and never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decodeRegistration(bytes, hash, times)).toBeUndefined();
      }),
    );
  });

  test("names of the prototype are names like others", () => {
    const odd = { ...REGISTRATION, ep: "__proto__", attributes: [["constructor", "x"]] as const };
    const decoded = decodeRegistration(encodeRegistration(odd), endpointHash(odd), times);
    expect(decoded).toMatchObject({ ep: "__proto__", attributes: [["constructor", "x"]] });
  });
});
