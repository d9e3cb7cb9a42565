import { seededRandom } from "@tributary/runtime/testing";
import { expect, test } from "vitest";
import { decodeHeader } from "./oscore-option.js";
import { decodePlaintext } from "./plaintext.js";

/** Any bytes, short ones mostly. */
function* anyBytes(count: number): Generator<Uint8Array> {
  const random = seededRandom(1);
  for (let index = 0; index < count; index++) {
    const length = Math.floor(random() ** 3 * 300);
    yield Uint8Array.from({ length }, () => Math.floor(random() * 256));
  }
}

test("a plaintext of one who has the key is read within its bytes, or not at all", () => {
  let read = 0;
  for (const bytes of anyBytes(20_000)) {
    const plaintext = decodePlaintext(bytes);
    if (plaintext === null) continue;
    read++;
    const { options, payload } = plaintext;
    const length = options.reduce((sum, { value }) => sum + value.length, payload.length);
    expect(length).toBeLessThan(bytes.length);
    expect(options.every(({ number }, index) => number >= (options[index - 1]?.number ?? 0))).toBe(true);
  }
  expect(read).toBeGreaterThan(1000);
});

test("any OSCORE option is read within its bytes, or not at all", () => {
  let read = 0;
  for (const bytes of anyBytes(20_000)) {
    const header = decodeHeader(bytes);
    if (header === null) continue;
    read++;
    const { partialIv, kid, kidContext } = header;
    const length = [partialIv, kid, kidContext].reduce((sum, part) => sum + (part?.length ?? 0), 0);
    expect(length).toBeLessThanOrEqual(bytes.length);
    expect(partialIv?.length ?? 1).toBeLessThanOrEqual(5);
  }
  expect(read).toBeGreaterThan(1000);
});
