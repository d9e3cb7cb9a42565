import { expect, test } from "vitest";
import { runTributary } from "../peers/peers.js";

test("the demo tells draft 6.2 to its end", async () => {
  const told = await runTributary(["demo"], { timeoutMs: 30_000 });
  expect(told.stderr).toBe("");
  expect(told.status).toBe(0);
  const lines = told.stdout.split("\n");
  expect(lines.filter((line) => /^\d+\. /.test(line))).toHaveLength(10);
  const last = lines.slice(lines.findIndex((line) => line.includes("evicted")));
  expect(last.filter((line) => line.includes('ep="endpoint1"'))).toHaveLength(1);
  expect(last.filter((line) => line.includes('ep="endpoint2"'))).toHaveLength(1);
});
