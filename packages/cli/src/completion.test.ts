import { execFileSync, spawnSync } from "node:child_process";
import { Command, Option } from "commander";
import { describe, expect, test } from "vitest";
import { completionScript } from "./completion.js";
import { runCli } from "./program.js";

async function printed(shell: string): Promise<string> {
  const lines: string[] = [];
  const io = { out: (text: string) => lines.push(text), err: (text: string) => lines.push(text) };
  expect(await runCli(["completion", shell], io as never)).toBe(0);
  return lines.join("\n");
}

/** What bash offers for the last of these words. */
function offered(script: string, ...words: string[]): string[] {
  const line = ["tributary", ...words].map((word) => `'${word}'`).join(" ");
  const ask = `COMP_WORDS=(${line}); COMP_CWORD=${words.length}; _tributary; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const output = execFileSync("bash", ["--norc", "-c", `${script}\n${ask}`], { encoding: "utf8" });
  return output.split("\n").filter((one) => one !== "");
}

describe("completion in bash", () => {
  test("commands, their options, and commands of commands", async () => {
    const script = await printed("bash");
    expect(offered(script, "s")).toEqual(["serve", "status", "store"]);
    expect(offered(script, "status", "--")).toEqual(["--at", "--json", "--watch", "--timeout", "--help"]);
    expect(offered(script, "store", "")).toEqual(expect.arrayContaining(["export", "import"]));
    expect(offered(script, "store", "export", "--c")).toEqual(["--config"]);
    expect(offered(script, "lookup", "ep", "--w")).toEqual(["--watch"]);
  });

  test("files where a file is wanted, nothing where anything may be", async () => {
    const script = await printed("bash");
    expect(offered(script, "check", "--config", "/etc/host")).toContain("/etc/hosts");
    expect(offered(script, "lookup", "ep", "--at", "")).toEqual([]);
  });

  test("descriptions and values are words, whatever is in them", () => {
    const program = new Command("tributary");
    const how = new Option("--how <way>", "$(touch /tmp/never) it's `so`").choices(["fast", "slow"]);
    program.command("go").summary("$(exit 3)").addOption(how);
    for (const shell of ["zsh", "fish"] as const)
      expect(completionScript(shell, program)).toContain("$(touch /tmp/never) it'\\''s `so`'");
    expect(offered(completionScript("bash", program), "go", "--how", "")).toEqual(["fast", "slow"]);
  });
});

test.each(["zsh", "fish"])("%s reads its script, and it has every command", async (shell) => {
  const script = await printed(shell);
  for (const name of ["serve", "check", "lookup", "register", "status", "why", "store", "export"])
    expect(script).toContain(name);
  // Where the shell is not installed its script is not read.
  const { error, status, stderr } = spawnSync(shell, ["-n", "/dev/stdin"], { input: script, encoding: "utf8" });
  if (error === undefined) expect(`${status} ${stderr}`).toBe("0 ");
});

test("another shell is refused", async () => {
  const lines: string[] = [];
  const io = { out: () => undefined, err: (text: string) => lines.push(text) };
  expect(await runCli(["completion", "csh"], io as never)).toBe(2);
  expect(lines.join("\n")).toContain("Allowed choices are bash, zsh, fish");
});
