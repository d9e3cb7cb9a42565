import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCli } from "@tributary/cli";
import { loadConfig } from "@tributary/node";
import { describe, expect, test } from "vitest";
import { freePort, runTributary, startTributary, temporaryFolder } from "../peers/peers.js";
import { FakeIo } from "./fake-node.js";

async function init(...args: string[]) {
  const file = join(temporaryFolder(), "site.yaml");
  const io = new FakeIo();
  const status = await runCli(["init", file, ...args], io);
  return { file, io, status };
}

describe("init", () => {
  test("writes a configuration that is right, says what is next, and never overwrites", async () => {
    const { file, io, status } = await init("--name", "site-1");
    expect([status, io.lines, io.errors]).toEqual([
      0,
      [`wrote ${file}; start it with: tributary serve -c ${file}`],
      [],
    ]);
    expect(loadConfig(file)).toMatchObject({
      ok: true,
      config: { name: "site-1", listen: ["coap://[::]"], registration: {} },
    });
    writeFileSync(file, "mine");
    const again = new FakeIo();
    expect(await runCli(["init", file], again)).toBe(1);
    expect(again.errors.join()).toContain("there is such a file already");
    expect(readFileSync(file, "utf8")).toBe("mine");
  });

  test("of a proxy with upstreams; what can be switched on is written in comments", async () => {
    const upstreams = ["coap://[2001:db8::2]", "coap+tcp://rd.example.com"];
    const flags = upstreams.flatMap((uri) => ["--upstream", uri]);
    const { file, status } = await init("--no-registration", "--http", "false", ...flags);
    expect(status).toBe(0);
    const loaded = loadConfig(file);
    expect(loaded).toMatchObject({ ok: true, config: { http: null, lookup: { upstreams: [{}, {}] } } });
    expect(loaded.ok && loaded.config.registration).toBeUndefined();
    expect(readFileSync(file, "utf8")).toContain("# snapshot: ./copies");
  });

  test("refuses what would not be a configuration, and writes nothing", async () => {
    const { file, io, status } = await init("--upstream", "coap://0.0.0.0", "--name", "two words");
    expect([status, existsSync(file)]).toEqual([2, false]);
    expect(io.errors.join()).toMatch(/name is "two words".*\n.*stands for any address of this machine/);
  });

  test("what it prints can be served", async () => {
    const port = await freePort("127.0.0.1");
    const { stdout } = await runTributary(["init", "-", "--listen", `coap://127.0.0.1:${port}`, "--http", "false"]);
    const node = await startTributary({ config: stdout });
    expect(node.uris).toEqual([`coap://127.0.0.1:${port}`]);
  });
});
