import { delimiter, dirname } from "node:path";
import { expect, test } from "vitest";
import { describeWithPeers, natsServerPath, runTributary } from "../peers/peers.js";

const SCENARIO = ["demo", "--scenario", "6.1", "--pace", "0"];

describeWithPeers(["nats"], "the demo of draft 6.1", () => {
  test("tells it to its end", { timeout: 120_000 }, async () => {
    const env = { PATH: `${dirname(natsServerPath())}${delimiter}${process.env.PATH}` };
    const demo = await runTributary(SCENARIO, { env, timeoutMs: 110_000 });
    expect({ status: demo.status, stderr: demo.stderr }).toEqual({ status: 0, stderr: "" });
    const lines = demo.stdout.split("\n");
    expect(lines.filter((line) => /^\d+\. /.test(line))).toHaveLength(7);
    const paths = new Set(lines.flatMap((line) => /\/reg\/[0-9a-f-]{36}/.exec(line)?.[0] ?? []));
    expect(paths.size).toBe(1);
    expect(lines.filter((line) => /Res: [45]\./.test(line)).map((line) => line.trim())).toEqual(["Res: 4.04"]);
  });
});

test("the demo of draft 6.1 says what it needs", async () => {
  const demo = await runTributary(SCENARIO, { env: { PATH: "/nowhere" } });
  expect(demo.status).toBe(1);
  expect(demo.stderr).toMatch(
    /nats-server cannot be started .*install nats-server 2\.14 or later, and have it in PATH/,
  );
});
