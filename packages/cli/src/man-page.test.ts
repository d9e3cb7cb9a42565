import { spawnSync } from "node:child_process";
import { Command, Option } from "commander";
import { describe, expect, test } from "vitest";
import { manPage } from "./man-page.js";

function program(): Command {
  const root = new Command("prog").description("Does one thing: well.");
  root
    .command("run")
    .description("Runs it.\n\nSecond paragraph: a\\b…")
    .argument("<what>")
    .argument("[more...]")
    .option("--at <uri>", "where", "coap://h")
    .option("--each <x>", "may be repeated", (value: string) => [value], [])
    .addOption(new Option("--secret").hideHelp());
  root.command("store").command("export").description(".begins with a dot");
  return root;
}

describe("the manual page", () => {
  test("has every command with its options, and nothing that is hidden", () => {
    const page = manPage(program(), "1.2.3");
    expect(page).toMatch(/^\.TH PROG 1 "" "prog 1\.2\.3"/);
    expect(page).toContain("prog \\- Does one thing: well\n");
    expect(page).toContain(".SS run what [more...]\nRuns it.\n.PP\nSecond paragraph: a\\eb\\[u2026]\n");
    expect(page).toContain(".TP\n.B \\-\\-at <uri>\nWhere (default: coap://h).\n");
    expect(page).toContain(".B \\-\\-each <x>\nMay be repeated.\n");
    expect(page).toContain(".SS store export\n\\&.begins with a dot\n");
    expect(page).not.toContain("secret");
  });

  test("is what groff reads without a warning", (context) => {
    const { status, stderr, error } = spawnSync("groff", ["-man", "-ww", "-z"], {
      input: manPage(program(), "1"),
      encoding: "utf8",
    });
    if (error !== undefined) return context.skip("groff is not installed");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});
