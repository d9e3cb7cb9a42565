import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

test("docs/operating.md shows what check --print prints", () => {
  const lines = readFileSync(join(ROOT, "docs/operating.md"), "utf8").split("\n");
  const at = lines.findIndex((line) => line.includes("$ tributary check -c site.yaml --print"));
  const end = lines.findIndex((line, index) => index > at && !line.startsWith("    "));
  const commands = lines.slice(at - 1, at + 1).map((line) => line.replace(/^ {4}\$ /, ""));
  const shown = lines.slice(at + 1, end).map((line) => line.slice(4));
  const folder = mkdtempSync(join(tmpdir(), "tributary-print-"));
  try {
    const { RD: _, ...env } = process.env;
    const PATH = `${join(ROOT, "node_modules/.bin")}:${env.PATH}`;
    const printed = execFileSync("sh", ["-c", commands.join("\n")], { cwd: folder, env: { ...env, PATH } });
    expect(printed.toString().trimEnd().split("\n")).toEqual(shown);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
