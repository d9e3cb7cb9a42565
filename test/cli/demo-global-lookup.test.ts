import { expect, test } from "vitest";
import { runTributary } from "../peers/peers.js";

test("DHT-01 the demo of draft 6.3 tells it to its end", async () => {
  const demo = await runTributary(["demo", "--scenario", "6.3", "--pace", "0"], { timeoutMs: 110_000 });
  expect({ status: demo.status, stderr: demo.stderr }).toEqual({ status: 0, stderr: "" });
  const lines = demo.stdout.split("\n").map((line) => line.trim());
  expect(lines.filter((line) => /^\d+\. /.test(line))).toHaveLength(6);
  // Its registration is that of the RD where it registered, which two others name.
  const paths = lines.flatMap(
    (line) => /Location: (\S+)|^<coap:\/\/127\.0\.0\.1:\d+(\/reg\/[^>]+)>/.exec(line)?.slice(1) ?? [],
  );
  expect(new Set(paths.filter((path) => path !== undefined)).size).toBe(1);
  expect(lines.filter((line) => line === "off" || line === "on")).toEqual(["off", "on", "on"]);
  expect(lines.filter((line) => /^Res: [45]\./.test(line))).toEqual(["Res: 5.04"]);
}, 120_000);
