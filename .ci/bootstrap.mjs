// Makes a fresh clone ready with nothing but Node (18 or later) and npm: installs the packages (pnpm by npx), builds, and
// with --with-test-peers prepares the programs that the tests talk to. Quick when nothing changed.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PNPM = "pnpm@10.34.9";
const OLDEST_NODE = 18;
/** How often a terminal is shown that a step is alive. */
const ALIVE_INTERVAL_MS = 3000;

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/[/]$/, "");
const stampFile = join(root, "node_modules", ".bootstrap-stamp");

if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
  process.stderr.write(`Node ${OLDEST_NODE} or later is needed; this is ${process.version}\n`);
  process.exit(1);
}

const steps = [
  { title: "installing packages", isDone: packagesAreInstalled, run: installPackages },
  { title: "building", run: build },
];
if (process.argv.includes("--with-test-peers")) {
  steps.push({
    title: "preparing test peers",
    run: () => run(process.execPath, ["test/peers/install.mjs"]),
    showsOutput: true,
  });
}

for (const [index, step] of steps.entries()) {
  process.stderr.write(`[${index + 1}/${steps.length}] ${step.title} … `);
  if (step.isDone?.()) {
    process.stderr.write("nothing to do\n");
    continue;
  }
  const startMs = performance.now();
  const { status, output } = await step.run();
  if (status !== 0) {
    process.stderr.write(`failed\n\n${output.trimEnd()}\n`);
    process.exit(status);
  }
  process.stderr.write(` done in ${((performance.now() - startMs) / 1000).toFixed(1)} s\n`);
  if (step.showsOutput) process.stderr.write(output.replace(/^(?=.)/gm, "      "));
}

function workspaceFolders() {
  const entries = readdirSync(join(root, "packages"), { withFileTypes: true });
  return entries.filter((entry) => existsSync(join(root, "packages", entry.name, "package.json")));
}

/** What an installation depends on. */
function stamp() {
  const hash = createHash("sha256").update(`${PNPM} ${process.platform} ${process.arch}\n`);
  const manifests = workspaceFolders().map(({ name }) => `packages/${name}/package.json`);
  for (const file of ["pnpm-lock.yaml", "pnpm-workspace.yaml", "package.json", ...manifests.sort()]) {
    hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  }
  return hash.digest("hex");
}

function hasDependencies({ name }) {
  const manifest = JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8"));
  return Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }).length > 0;
}

function packagesAreInstalled() {
  const folders = workspaceFolders().filter(hasDependencies);
  return (
    existsSync(stampFile) &&
    readFileSync(stampFile, "utf8") === stamp() &&
    existsSync(join(root, "node_modules/.bin/node")) &&
    folders.every(({ name }) => existsSync(join(root, "packages", name, "node_modules")))
  );
}

async function installPackages() {
  rmSync(stampFile, { force: true });
  // CI keeps pnpm from asking questions.
  const result = await run("npx", ["--yes", PNPM, "install", "--frozen-lockfile"], { CI: "true" });
  if (result.status === 0) writeFileSync(stampFile, stamp());
  return result;
}

/** Compile, build the status page, and leave a `tributary` command that runs on the pinned Node from any directory. */
async function build() {
  const compiled = await run(process.execPath, [".ci/run-pinned.mjs", "tsc", "-b"]);
  if (compiled.status !== 0) return compiled;
  const page = await run(process.execPath, [".ci/run-pinned.mjs", "node", "packages/status-page/build.mjs"]);
  if (page.status === 0) writeLauncher();
  return page;
}

/** In place of pnpm's link, which leads to whatever Node comes first on PATH. Renamed into place: it may be in use. */
function writeLauncher() {
  const command = join(root, "node_modules/.bin/tributary");
  const quotedRoot = `'${root.replaceAll("'", "'\\''")}'`;
  const launcher = `#!/bin/sh
root=${quotedRoot}
exec "$root/node_modules/node/bin/node" "$root/packages/cli/bin/tributary.js" "$@"
`;
  const fresh = `${command}.${process.pid}`;
  writeFileSync(fresh, launcher, { mode: 0o755 });
  renameSync(fresh, command);
}

/**
 * Run quietly: what a command says is shown only when it fails, since pnpm and the npm inside it warn of each other's
 * settings.
 */
function run(command, args, variables = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...variables },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const signals = ["SIGTERM", "SIGHUP"];
    const forward = (signal) => child.kill(signal);
    for (const signal of signals) process.on(signal, forward);
    const alive = setInterval(() => process.stderr.isTTY && process.stderr.write("."), ALIVE_INTERVAL_MS);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => {
        output += text;
      });
    }
    const end = (status) => {
      clearInterval(alive);
      for (const signal of signals) process.off(signal, forward);
      resolve({ status, output });
    };
    child.on("error", (error) => {
      output += `cannot run ${command}: ${error.message}\n`;
      end(1);
    });
    child.on("close", (status, signal) => end(status ?? 128 + (constants.signals[signal] ?? 0)));
  });
}
