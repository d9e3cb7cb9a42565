import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { SHARED_BUGS } from "./planted-bugs.ts";
import { simulateShared } from "./run.ts";

const SIMULATE = fileURLToPath(new URL("../simulate.ts", import.meta.url));
/** More with `npm run simulate -- --shared --seeds 1000`. */
const SEEDS = 15;
/** Looked for here, from a seed on that finds it soon; the others are found within 200 seeds by `--plant NAME`. */
const PLANTED = [
  { name: SHARED_BUGS[0]?.name ?? "", from: "1" },
  { name: SHARED_BUGS[2]?.name ?? "", from: "11" },
];

describe("instances that share a directory, some of them cut off, killed, or without answers", () => {
  test("agree with each other and with what devices were told", async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { violations, checks } = await simulateShared(seed);
      expect(violations, `npm run simulate -- --shared --seed ${seed}`).toEqual([]);
      expect(checks).toBeGreaterThan(50);
    }
  });

  const run = promisify(execFile);
  test.each(PLANTED)("and the simulation notices when $name", async ({ name, from }) => {
    const args = [SIMULATE, "--shared", "--seeds", "50", "--from", from, "--stop-at-first", "--plant", name];
    const failure = await run(process.execPath, args).catch((error: { code: unknown; stdout: string }) => error);
    expect(failure).toMatchObject({ code: 1, stdout: expect.stringMatching(/^seed \d+: \d+ violations/m) });
  });
});
