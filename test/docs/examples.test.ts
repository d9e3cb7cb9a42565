import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { PINNED_NODE, runProcess } from "../peers/peers.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("the embedding example prints what its guide shows", async () => {
  const { status, stdout, stderr } = await runProcess(PINNED_NODE, [`${root}docs/examples/merge-directories.mjs`]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(readFileSync(`${root}docs/embedding.md`, "utf8")).toContain(stdout);
});
