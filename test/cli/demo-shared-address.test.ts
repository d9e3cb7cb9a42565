import { expect, test } from "vitest";
import { runTributary } from "../peers/peers.js";

test("LPX-19 the demo tells draft 6.2.2 to its end", { timeout: 120_000 }, async () => {
  const demo = await runTributary(["demo", "--scenario", "6.2.2", "--pace", "0"], { timeoutMs: 110_000 });
  expect(demo.stderr).toBe("");
  expect(demo.status).toBe(0);
  const lines = demo.stdout.split("\n");
  expect(lines.filter((line) => /^\d+\. /.test(line))).toHaveLength(10);
  const locations = lines.flatMap((line) => /Location: (\/reg\/[^/]+)\//.exec(line)?.[1] ?? []);
  expect(locations).toEqual(["/reg/host3", "/reg/host2"]);
  expect(lines.filter((line) => /Res: [45]\./.test(line)).map((line) => line.trim())).toEqual([
    "Res: 5.04",
    "Res: 4.04",
  ]);
});
