import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { PLANTED_BUGS } from "./planted-bugs.ts";

const SIMULATE = fileURLToPath(new URL("./simulate.ts", import.meta.url));

describe("the simulation notices when", () => {
  const run = promisify(execFile);
  test.each(PLANTED_BUGS)("$name", async ({ name, scheme = "coap" }) => {
    const spoken = scheme === "coap" ? [] : ["--tcp"];
    const args = [SIMULATE, "--seeds", "250", "--stop-at-first", "--plant", name, ...spoken];
    const failure = await run(process.execPath, args).catch((error: { code: unknown; stdout: string }) => error);
    expect(failure).toMatchObject({ code: 1, stdout: expect.stringMatching(/^seed \d+: \d+ violations/m) });
  });
});
