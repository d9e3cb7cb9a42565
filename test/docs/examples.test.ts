import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { PINNED_NODE, runProcess } from "../peers/peers.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

test.each([
  { example: "merge-directories.mjs", page: "docs/embedding.md", isShown: false },
  { example: "file-as-source.mjs", page: "docs/embedding.md", isShown: false },
  { example: "query-api.mjs", page: "docs/embedding.md", isShown: false },
  { example: "observe-temperature.mjs", page: "packages/coap-transport/README.md", isShown: true },
  { example: "embed-node.mjs", page: "packages/node/README.md", isShown: true },
])("$example prints what $page shows", async ({ example, page, isShown }) => {
  const file = `${root}docs/examples/${example}`;
  const { status, stdout, stderr } = await runProcess(PINNED_NODE, [file]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const text = readFileSync(`${root}${page}`, "utf8");
  expect(text.replace(/^ {4}/gm, "")).toContain(stdout);
  const [, code = ""] = /^[^\n]*\n([\s\S]*)$/.exec(readFileSync(file, "utf8")) ?? [];
  if (isShown) expect(text).toContain(code);
});
