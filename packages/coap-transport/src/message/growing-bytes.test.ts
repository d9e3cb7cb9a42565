import { expect, test } from "vitest";
import { pattern } from "../testing/block-requests.js";
import { GrowingBytes } from "./growing-bytes.js";

test("holds what was appended, whatever the sizes", () => {
  const body = new GrowingBytes();
  const parts: Uint8Array[] = [];
  for (const size of [0, 1, 2047, 2048, 5000, 60_000, 500_000, 16, 1024, 700_000, 3_000_000, 1024]) {
    const part = pattern(size, parts.length);
    parts.push(part);
    body.append(part);
    expect(body.endsWith(part)).toBe(true);
    expect(Buffer.concat(parts).equals(body.bytes())).toBe(true);
  }
  expect(body.length).toBe(Buffer.concat(parts).length);
});

test("a large body grows where it is, also for those who hold a view of it", () => {
  const body = new GrowingBytes();
  body.append(pattern(1_000_000, 1));
  const before = body.bytes();
  for (let part = 0; part < 64; part++) body.append(pattern(1_000_000, part));
  expect(body.bytes().buffer).toBe(before.buffer);
  expect(before).toHaveLength(1_000_000);
  expect(Buffer.from(before).equals(pattern(1_000_000, 1))).toBe(true);
});

test("a body beyond what is reserved for one is whole", () => {
  const body = new GrowingBytes();
  const part = pattern(50_000_000, 3);
  for (let count = 0; count < 4; count++) body.append(part);
  expect(body.length).toBe(200_000_000);
  expect(Buffer.from(body.bytes().subarray(150_000_000)).equals(part)).toBe(true);
});
