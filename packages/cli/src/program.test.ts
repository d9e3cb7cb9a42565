import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { FakeIo } from "../../../test/cli/fake-node.js";
import { runCli } from "./program.js";

const CONFIGS = fileURLToPath(new URL("../../../test/config/", import.meta.url));

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const io = new FakeIo();
  const code = await runCli(args, io);
  return { code, out: io.lines.join("\n"), err: io.errors.join("\n") };
}

describe("help and version", () => {
  test("--version", async () => {
    expect(await run("--version")).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+$/), err: "" });
  });

  test("--help names every command", async () => {
    const { code, out } = await run("--help");
    expect(code).toBe(0);
    for (const command of ["serve", "check", "lookup", "register", "status"])
      expect(out).toMatch(new RegExp(`^ {2}${command} `, "m"));
  });

  test.each(["serve", "check", "lookup", "register", "status"])("%s --help", async (command) => {
    const { code, out } = await run(command, "--help");
    expect(code).toBe(0);
    expect(out).toContain(`Usage: tributary ${command}`);
  });
});

describe("wrong command lines have status 2", () => {
  test.each([
    { name: "no command", args: [], err: "Usage: tributary" },
    { name: "unknown command", args: ["serv"], err: "(Did you mean serve?)" },
    { name: "unknown option", args: ["serve", "--port", "1"], err: "unknown option '--port'" },
    { name: "check without file", args: ["check"], err: "--config <file>" },
    { name: "lookup of what", args: ["lookup", "endpoints"], err: "It is ep (endpoints) or res (resources)." },
    {
      name: "lookup at what",
      args: ["lookup", "ep", "--at", "localhost"],
      err: 'tributary: --at "localhost" is not a URI',
    },
    { name: "register without name", args: ["register", "--at", "coap://localhost"], err: "register needs --ep NAME" },
    {
      name: "register with a key that is none",
      args: ["register", "--key", "/dev/null"],
      err: "--key /dev/null is no key",
    },
    { name: "resolve without a name", args: ["resolve", "coap://host/x"], err: "write oscore://NAME/PATH" },
    { name: "resolve at no RD", args: ["resolve", "oscore://a/x", "--at", "http://b"], err: "--at" },
    { name: "register with a long name", args: ["register", "--ep", "é".repeat(32)], err: "1 to 63 bytes" },
    {
      name: "register with a wrong lifetime",
      args: ["register", "--ep", "a", "--lt", "0"],
      err: "from 1 to 4294967295",
    },
    { name: "register with a wrong base", args: ["register", "--ep", "a", "--base", "/x"], err: "--base /x" },
    { name: "register with broken links", args: ["register", "--ep", "a", "</x"], err: "not link format" },
    { name: "register with relative links", args: ["register", "--ep", "a", "<x>"], err: "cannot be registered" },
    { name: "register with a missing file", args: ["register", "--ep", "a", "@/nowhere/x"], err: "cannot be read" },
    { name: "status at what", args: ["status", "--at", "127.0.0.1"], err: "not an HTTP URI" },
    { name: "timeout", args: ["status", "--timeout", "x"], err: "number of seconds" },
    {
      name: "serve with a broken file",
      args: ["serve", "-c", `${CONFIGS}broken/several.yaml`],
      err: 'several.yaml:1:7: name is "lp z"',
    },
  ])("$name", async ({ args, err }) => {
    const result = await run(...args);
    expect(result.code).toBe(2);
    expect(result.err).toContain(err);
  });
});

describe("check", () => {
  test("--json has each error with its place", async () => {
    const right = await run("check", "-c", `${CONFIGS}good/everything.yaml`, "--json");
    expect([right.code, JSON.parse(right.out)]).toEqual([0, { ok: true, errors: [] }]);
    const { code, out, err } = await run("check", "-c", `${CONFIGS}broken/several.yaml`, "--json");
    const { ok, errors } = JSON.parse(out) as { ok: boolean; errors: object[] };
    expect([code, ok, err]).toEqual([2, false, ""]);
    expect(errors[0]).toEqual({
      file: expect.stringContaining("several.yaml"),
      line: expect.any(Number),
      column: expect.any(Number),
      message: expect.any(String),
    });
  });

  test("--print: the configuration that the node has", async () => {
    const { code, out, err } = await run("check", "-c", `${CONFIGS}good/everything.yaml`, "--print");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain("\n  on-partial: fail\n");
    const broken = await run("check", "-c", `${CONFIGS}broken/several.yaml`, "--print");
    expect(broken).toEqual(await run("check", "-c", `${CONFIGS}broken/several.yaml`));
  });

  test("OK", async () => {
    expect(await run("check", "-c", `${CONFIGS}good/everything.yaml`)).toEqual({ code: 0, out: "OK", err: "" });
  });

  test("every error on a line of its own", async () => {
    const { code, out, err } = await run("check", "-c", `${CONFIGS}broken/several.yaml`);
    expect([code, out, err.split("\n").length]).toEqual([2, "", 7]);
  });
});
