import { describe, expect, test } from "vitest";
import { POOL_GENERATION } from "../constants.js";
import { ownText, StringPool } from "./string-pool.js";

describe("strings", () => {
  test("the pool keeps equal texts once and forgets what nobody asks for", () => {
    const pool = new StringPool();
    for (let index = 0; index < 5 * POOL_GENERATION; index++) {
      pool.keep(`unique-value-${index}`);
      if (index % 1000 === 0) pool.keep("a value that repeats");
    }
    expect(pool.size).toBeLessThanOrEqual(2 * POOL_GENERATION);
    expect(pool.keep("x".repeat(1000))).toBe("x".repeat(1000));
    expect(pool.size).toBeLessThanOrEqual(2 * POOL_GENERATION);
  });

  test.each(["", "a", "twelve chars", "thirteen char", "\u{1F600} and more text", "é".repeat(50)])(
    "the text %j is owned unchanged",
    (text) => expect(ownText(text)).toBe(text),
  );
});
