import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { PINNED_NODE, runProcess, temporaryFolder } from "../peers/peers.js";
import { estimateS, readDurations, spokenTime, writeDurations } from "./durations.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("how long a run takes", () => {
  const known = { a: 10, b: 20, c: 90 };
  const file = (path: string, isParallel: boolean) => ({ path, isParallel });
  test.each([
    { name: "one after the other", files: [file("a", false), file("b", false)], workers: 2, want: 30 },
    { name: "beside each other", files: [file("a", true), file("b", true)], workers: 2, want: 20 },
    { name: "one that is longer than the rest", files: [file("a", true), file("c", true)], workers: 4, want: 90 },
    { name: "both kinds", files: [file("a", true), file("b", true), file("c", false)], workers: 1, want: 120 },
    { name: "an unknown one", files: [file("constructor", false)], workers: 1, want: 1 },
    { name: "nothing", files: [], workers: 0, want: 0 },
  ])("$name: $want s", ({ files, workers, want }) => {
    expect(estimateS(files, known, workers, 1)).toBe(want);
  });

  test("times are written as people say them", () => {
    expect([0.4, 89, 90, 3540, 3900].map(spokenTime)).toEqual(["0 s", "89 s", "2 min", "59 min", "1 h 05 min"]);
  });

  test("what was measured is found again; a damaged file is as good as none", () => {
    const path = join(temporaryFolder(), "sub", "durations.json");
    writeDurations(path, { b: 2, a: 1.5 });
    expect(readDurations(path)).toEqual({ a: 1.5, b: 2 });
    writeFileSync(path, '{"a":');
    expect(readDurations(path)).toEqual({});
    writeFileSync(path, '{"a":"1","b":2}');
    expect(readDurations(path)).toEqual({ b: 2 });
  });
});

test("a run says how long it takes on stderr, and disturbs no machine-readable report", async () => {
  const report = join(temporaryFolder(), "report.json");
  const { status, stderr } = await runProcess(PINNED_NODE, [
    `${root}node_modules/vitest/vitest.mjs`,
    ...["run", "--config", "test/vitest.config.ts", "packages/merge-engine/src/records/string-pool.test.ts"],
    ...["--reporter=json", `--outputFile.json=${report}`, "--reporter=./test/harness/progress-reporter.ts"],
  ]);
  expect({ status, stderr }).toMatchObject({
    status: 0,
    stderr: expect.stringMatching(
      /^-- 1 test files?, about \d+ s (as the last time|on a quiet machine with two cores)$/m,
    ),
  });
  expect(JSON.parse(readFileSync(report, "utf8"))).toMatchObject({ numFailedTests: 0, success: true });
});
