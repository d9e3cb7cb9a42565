import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { runProcess, startProcess, temporaryFolder, untilWritten } from "../peers/peers.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BOOTSTRAP = readFileSync(join(ROOT, ".ci/bootstrap.mjs"), "utf8");
/** The version that installs the workspace. */
const PNPM = /"(pnpm@[\d.]+)"/.exec(BOOTSTRAP)?.[1] ?? "";
const CONFIG = readFileSync(join(ROOT, "test/config/good/everything.yaml"), "utf8");

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const manifestOf = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
const PACKAGES = readdirSync(join(ROOT, "packages"))
  .map((name) => join(ROOT, "packages", name))
  .filter((folder) => existsSync(join(folder, "package.json")))
  .map(manifestOf);

/** The surroundings of someone who only installs: nothing of this workspace, neither its tools nor its modules. */
function outsideEnvironment(): Record<string, string> {
  const isOurs = ([name]: [string, string | undefined]): boolean => /^(npm_|NODE_PATH$|INIT_CWD$|PNPM_)/i.test(name);
  const blanks = Object.entries(process.env)
    .filter(isOurs)
    .map(([name]) => [name, ""] as const);
  const path = (process.env.PATH ?? "").split(":").filter((folder) => !folder.startsWith(ROOT));
  return { ...Object.fromEntries(blanks), PATH: path.join(":") };
}

async function succeed(cwd: string, command: string, ...args: string[]): Promise<string> {
  const finished = await runProcess(command, args, { cwd, env: outsideEnvironment(), timeoutMs: 240_000 });
  expect(finished.status, `${command} ${args.join(" ")}\n${finished.stdout}${finished.stderr}`).toBe(0);
  return finished.stdout;
}

describe("the packages as they would be published", () => {
  let installed: string;
  let tarballs: string;
  const packageFolder = (name: string): string => join(installed, "node_modules", name);

  beforeAll(async () => {
    const folder = temporaryFolder();
    tarballs = join(folder, "tarballs");
    installed = join(folder, "installed");
    for (const path of [tarballs, installed]) mkdirSync(path);
    await succeed(ROOT, "npx", "--yes", PNPM, "--filter", "./packages/*", "pack", "--pack-destination", tarballs);
    const files = readdirSync(tarballs).map((name) => join(tarballs, name));
    expect(files).toHaveLength(PACKAGES.length);
    writeFileSync(join(installed, "package.json"), '{ "private": true }\n');
    await succeed(installed, "npm", "install", "--prefer-offline", "--no-audit", "--no-fund", ...files);
  }, 300_000);

  test("install together into an empty folder", () => {
    for (const { name, version } of PACKAGES) expect(manifestOf(packageFolder(name))).toMatchObject({ name, version });
  });

  test.each(PACKAGES)("$name holds what runs, and no tests, sources or workspace versions", ({ name }) => {
    const files = globSync("**", { cwd: packageFolder(name) }).filter((file) => !file.startsWith("node_modules"));
    expect(files).toEqual(expect.arrayContaining(["LICENSE", "dist/index.js", "dist/index.d.ts"]));
    expect(files.filter((file) => /\.test\.|^src\/|tsbuildinfo/.test(file))).toEqual([]);
    const { dependencies = {} } = manifestOf(packageFolder(name));
    expect(Object.values(dependencies).filter((range) => !/^\d+\.\d+\.\d+$/.test(range))).toEqual([]);
  });

  test.each(PACKAGES)("$name can be imported", async ({ name }) => {
    const script = `console.log(Object.keys(await import(${JSON.stringify(name)})).length)`;
    const stdout = await succeed(installed, "node", "--input-type=module", "-e", script);
    expect(Number(stdout)).toBeGreaterThan(0);
  });

  test("tributary tells its version", async () => {
    const { version } = PACKAGES.find(({ name }) => name === "@tributary/cli") as Manifest;
    expect(await succeed(installed, "npx", "--no-install", "tributary", "--version")).toContain(version);
  });

  test("tributary checks a configuration", async () => {
    writeFileSync(join(installed, "tributary.yaml"), CONFIG);
    const stdout = await succeed(installed, "node_modules/.bin/tributary", "check", "-c", "tributary.yaml");
    expect(stdout.trim()).toBe("OK");
  });

  test("tributary serves", async () => {
    const config = 'name: packed\nlisten: ["coap://[::1]:0"]\nhttp: false\nregistration:\n';
    writeFileSync(join(installed, "serve.yaml"), config);
    const options = { cwd: installed, env: outsideEnvironment() };
    const node = startProcess("node_modules/.bin/tributary", ["serve", "-c", "serve.yaml"], options);
    await untilWritten(node, "stdout", /^ready name=packed listen=coap:\/\/\[::1\]:\d+$/m);
    expect(await node.stop()).toBe(0);
  });

  test("one tarball of the command installs by itself, in a folder with nothing else, and serves", async () => {
    const folder = temporaryFolder();
    const packed = await succeed(ROOT, process.execPath, ".ci/pack.mjs", "--from", tarballs, "--to", folder);
    writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
    await succeed(folder, "npm", "install", "--prefer-offline", "--no-audit", "--no-fund", packed.trim());
    expect(readdirSync(join(folder, "node_modules/@tributary"))).toEqual(["cli"]);
    // Where it is installed globally, npm puts it where man looks.
    const manual = readFileSync(join(folder, "node_modules/@tributary/cli/man/tributary.1"), "utf8");
    expect(manual.split("\n")).toEqual(
      expect.arrayContaining([expect.stringMatching(/^\.TH TRIBUTARY 1 /), ".SS serve"]),
    );
    const resolved = await runProcess("node_modules/.bin/tributary", ["resolve", "coap://x"], {
      cwd: folder,
      env: outsideEnvironment(),
    });
    expect([resolved.status, resolved.stderr]).toEqual([2, expect.stringContaining("write oscore://NAME/PATH")]);
    const config = 'name: alone\nlisten: ["coap://[::1]:0"]\nhttp: false\nregistration: { store: "lmdb:./state" }\n';
    writeFileSync(join(folder, "serve.yaml"), config);
    const options = { cwd: folder, env: outsideEnvironment() };
    const node = startProcess("node_modules/.bin/tributary", ["serve", "-c", "serve.yaml"], options);
    await untilWritten(node, "stdout", /^ready name=alone listen=coap:\/\/\[::1\]:\d+$/m);
    expect(await node.stop()).toBe(0);
  });
});
