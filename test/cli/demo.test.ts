import { expect, test } from "vitest";
import { runTributary } from "../peers/peers.js";

test("the demo tells draft 6.2 to its end", { timeout: 120_000 }, async () => {
  const demo = await runTributary(["demo"], { timeoutMs: 110_000 });
  expect(demo.stderr).toBe("");
  expect(demo.status).toBe(0);
  const lines = demo.stdout.split("\n");
  expect(lines.filter((line) => /^\d+\. /.test(line))).toHaveLength(10);
  const last = lines.slice(lines.findIndex((line) => line.includes("evicted")));
  expect(last.filter((line) => line.includes('ep="endpoint1"'))).toHaveLength(1);
  expect(last.filter((line) => line.includes('ep="endpoint2"'))).toHaveLength(1);
});

test("the demo lists its scenarios and refuses others", async () => {
  const listed = await runTributary(["demo", "--list"]);
  expect(listed.status).toBe(0);
  expect(listed.stdout).toMatch(/^6\.2 +distinct registration points/m);
  const refused = await runTributary(["demo", "--scenario", "6.9"]);
  expect(refused.status).toBe(2);
  expect(refused.stderr).toMatch(/there is no scenario 6\.9; choose one of .*6\.2/);
});

test("every other scenario runs to its end", { timeout: 600_000 }, async () => {
  const { stdout } = await runTributary(["demo", "--list"]);
  const names = stdout.split("\n").flatMap((line) => /^(\S+) {2,}\S/.exec(line)?.[1] ?? []);
  expect(names).toContain("6.2");
  // Draft 6.1 needs a program, and has a test of its own.
  for (const name of names.filter((one) => !["6.1", "6.2", "SCENARIO"].includes(one))) {
    const demo = await runTributary(["demo", "--scenario", name, "--pace", "0"], { timeoutMs: 110_000 });
    expect({ name, status: demo.status, stderr: demo.stderr }).toEqual({ name, status: 0, stderr: "" });
  }
});
