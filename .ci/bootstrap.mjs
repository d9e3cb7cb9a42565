// Makes a fresh clone ready with nothing but Node and npm: installs the packages (pnpm by npx), builds, and with
// --with-test-peers installs the programs that the tests talk to. Quick when nothing changed.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PNPM = "pnpm@10.34.9";
const root = fileURLToPath(new URL("..", import.meta.url));
const stampFile = join(root, "node_modules", ".bootstrap-stamp");
const withPeers = process.argv.includes("--with-test-peers");

const steps = [
  { title: "installing packages", isDone: packagesAreInstalled, run: installPackages },
  { title: "building", isDone: () => false, run: build },
  ...(withPeers
    ? [{ title: "preparing test peers", isDone: () => false, run: () => run(process.execPath, [".ci/test-peers.mjs"]) }]
    : []),
];

for (const [index, step] of steps.entries()) {
  process.stderr.write(`[${index + 1}/${steps.length}] ${step.title} … `);
  if (step.isDone()) {
    process.stderr.write("nothing to do\n");
    continue;
  }
  const startMs = Date.now();
  const { status, output } = await step.run();
  if (status !== 0) {
    process.stderr.write(`failed\n${output}\n`);
    process.exit(1);
  }
  process.stderr.write(`${((Date.now() - startMs) / 1000).toFixed(1)} s\n`);
}

function packageFiles() {
  const packages = readdirSync(join(root, "packages"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    "package.json",
    ...packages.map(({ name }) => `packages/${name}/package.json`),
  ];
}

function stamp() {
  const hash = createHash("sha256");
  for (const file of packageFiles())
    if (existsSync(join(root, file))) hash.update(file).update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

function packagesAreInstalled() {
  return (
    existsSync(stampFile) &&
    readFileSync(stampFile, "utf8") === stamp() &&
    existsSync(join(root, "node_modules/.bin/node"))
  );
}

async function installPackages() {
  const result = await run("npx", ["--yes", PNPM, "install", "--frozen-lockfile"]);
  if (result.status === 0) {
    mkdirSync(join(root, "node_modules"), { recursive: true });
    writeFileSync(stampFile, stamp());
  }
  return result;
}

/** Compile, and leave a `tributary` command that runs on the pinned Node from any directory. */
async function build() {
  const result = await runPinned("tsc", ["-b"]);
  if (result.status !== 0) return result;
  const command = join(root, "node_modules/.bin/tributary");
  const launcher = `#!/bin/sh\nroot=${quote(root)}\nexec "$root/node_modules/node/bin/node" "$root/packages/cli/bin/tributary.js" "$@"\n`;
  rmSync(command, { force: true });
  writeFileSync(command, launcher);
  chmodSync(command, 0o755);
  return result;
}

function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function runPinned(tool, args) {
  return run(process.execPath, [".ci/run-pinned.mjs", tool, ...args]);
}

/** Run quietly; a dot every few seconds shows that it is alive, the output is shown only when it fails. */
function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, CI: "true" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const alive = setInterval(() => process.stderr.write("."), 3000);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    const end = (status) => {
      clearInterval(alive);
      resolve({ status, output });
    };
    child.on("error", (error) => {
      output += String(error);
      end(1);
    });
    child.on("close", (status) => end(status ?? 1));
  });
}
