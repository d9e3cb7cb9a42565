import { expect, test } from "vitest";
import { generateAnnouncerKey } from "./announcer-key.js";
import { checkProof, isKeyName, keyName, writeProof } from "./endpoint-proof.js";
import { isEndpointName } from "./name-key.js";

const NOW_S = 1_800_000_000;
const endpoint = generateAnnouncerKey();
const rd = generateAnnouncerKey();
const other = generateAnnouncerKey();
const name = keyName(endpoint.publicKey);
const proof = writeProof(endpoint, { announcer: rd.publicKey, expiresAtS: NOW_S + 60 });
const at = { announcer: rd.publicKey, nowS: NOW_S };

test("the name of a key is one that an endpoint can have, and its proof fits into a query", () => {
  expect([isEndpointName(name), isKeyName(name), isKeyName("node1")]).toEqual([true, true, false]);
  expect(`proof=${proof}`.length).toBeLessThanOrEqual(255);
});

test.each([
  { case: "right", proof, want: "yes" },
  { case: "missing", proof: undefined, want: "no" },
  { case: "without a value", proof: null, want: "no" },
  { case: "cut off", proof: proof.slice(0, -4), want: "no" },
  {
    case: "of another key",
    proof: writeProof(other, { announcer: rd.publicKey, expiresAtS: NOW_S + 60 }),
    want: "no",
  },
  {
    case: "for another RD",
    proof: writeProof(endpoint, { announcer: other.publicKey, expiresAtS: NOW_S + 60 }),
    want: "no",
  },
  { case: "over", proof: writeProof(endpoint, { announcer: rd.publicKey, expiresAtS: NOW_S }), want: "expired" },
])("a proof that is $case: $want", ({ proof: shown, want }) => {
  expect(checkProof(name, shown, at)).toBe(want);
});

test("no changed bit goes unnoticed", () => {
  const bytes = Buffer.from(proof, "base64url");
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    expect(checkProof(name, changed.toString("base64url"), at)).toBe("no");
  }
});
