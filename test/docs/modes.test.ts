import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { modesDocument } from "../modes/document.js";

test("docs/modes.md says what the table says, which the matrix of modes tries (npm run conformance writes it)", () => {
  expect(readFileSync(new URL("../../docs/modes.md", import.meta.url), "utf8")).toBe(modesDocument());
});
