import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { describe, expect, test } from "vitest";
import { FakeIo } from "../../../test/cli/fake-node.js";
import { commandReference } from "./command-reference.js";
import { runCli } from "./program.js";

const PAGE = fileURLToPath(new URL("../../../docs/commands.md", import.meta.url));

describe("the page of commands", () => {
  test("has every command with its arguments and options, and nothing that is hidden", () => {
    const root = new Command("prog").description("Does one thing.");
    root
      .command("run")
      .description("Runs <it> as `a_*`.\n\nSecond paragraph.")
      .argument("<what>", "this|that")
      .option("--at <uri>", "where", "coap://h")
      .addOption(new Option("--secret").hideHelp());
    root.command("store").command("export").description("Writes [it].");
    const page = commandReference(root);
    expect(page).toContain("- [`prog run what`](#prog-run-what)\n- [`prog store export`](#prog-store-export)\n");
    expect(page).toContain("## prog run what\n\nRuns \\<it\\> as `a_*`.\n\nSecond paragraph.\n\n| argument or option");
    expect(page).toContain("| `what` | this\\|that |\n| `--at <uri>` | Where (default: coap://h). |\n");
    expect(page).toContain("## prog store export\n\nWrites \\[it\\].\n\n## Exit status");
    expect(page).not.toContain("secret");
  });

  test("docs/commands.md is what `tributary man --markdown` prints", async () => {
    const io = new FakeIo();
    await runCli(["man", "--markdown"], io);
    expect(`${io.lines.join("\n")}\n`).toBe(readFileSync(PAGE, "utf8"));
  });
});
