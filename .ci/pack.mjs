// npm run tarball [-- --to FOLDER] [--from FOLDER]: one tarball of the command `tributary`, with the packages of this workspace that it needs in
// it. `npm install -g` of it needs nothing of ours from a registry. --from has tarballs of all packages already.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const [, PNPM] = /"(pnpm@[\d.]+)"/.exec(readFileSync(join(root, ".ci/bootstrap.mjs"), "utf8"));
const COMMAND = "@tributary/cli";

const { values } = parseArgs({ options: { to: { type: "string", default: "packed" }, from: { type: "string" } } });
const to = resolve(root, values.to);
const work = mkdtempSync(join(tmpdir(), "tributary-pack-"));
try {
  console.log(pack());
} finally {
  rmSync(work, { recursive: true, force: true });
}

function pack() {
  const unpacked = unpackAll(values.from === undefined ? packAll() : resolve(values.from));
  const stage = unpacked.get(COMMAND);
  const siblings = neededBy(COMMAND, unpacked);
  const dependencies = {};
  for (const name of [COMMAND, ...siblings])
    for (const [dependency, version] of Object.entries(manifestIn(unpacked.get(name)).dependencies ?? {})) {
      if ((dependencies[dependency] ?? version) !== version)
        throw new Error(`${dependency} is needed as ${version} and as ${dependencies[dependency]}`);
      dependencies[dependency] = version;
    }
  for (const name of siblings) {
    const place = join(stage, "node_modules", name);
    mkdirSync(place, { recursive: true });
    run("cp", ["-r", `${unpacked.get(name)}/.`, place]);
  }
  // Where npm installs it globally, `man tributary` finds it.
  mkdirSync(join(stage, "man"));
  const bin = join(root, "packages/cli/bin/tributary.js");
  writeFileSync(join(stage, "man/tributary.1"), run(process.execPath, [bin, "man"], root));
  const { devDependencies: _unused, scripts: _none, files, ...manifest } = manifestIn(stage);
  writeFileSync(
    join(stage, "package.json"),
    `${JSON.stringify({ ...manifest, files: [...files, "man"], man: ["man/tributary.1"], dependencies, bundleDependencies: siblings }, null, 2)}\n`,
  );
  mkdirSync(to, { recursive: true });
  return join(to, run("npm", ["pack", "--silent", "--pack-destination", to], stage).trim().split("\n").at(-1));
}

/** Builds and packs every package; the folder with the tarballs. */
function packAll() {
  const folder = join(work, "tarballs");
  mkdirSync(folder);
  run("npx", ["--yes", PNPM, "--filter", "./packages/*", "pack", "--pack-destination", folder], root);
  return folder;
}

/** Folders with the contents, by the name of the package. */
function unpackAll(folder) {
  const packages = new Map();
  for (const [index, file] of readdirSync(folder)
    .filter((name) => name.endsWith(".tgz"))
    .entries()) {
    const place = join(work, String(index));
    mkdirSync(place);
    run("tar", ["-xzf", join(folder, file), "-C", place]);
    packages.set(manifestIn(join(place, "package")).name, join(place, "package"));
  }
  if (!packages.has(COMMAND)) throw new Error(`${folder} has no tarball of ${COMMAND}`);
  return packages;
}

/** Packages of this workspace that `name` depends on, at any depth. */
function neededBy(name, packages, found = new Set()) {
  for (const dependency of Object.keys(manifestIn(packages.get(name)).dependencies ?? {}))
    if (packages.has(dependency) && !found.has(dependency)) {
      found.add(dependency);
      neededBy(dependency, packages, found);
    }
  return [...found].sort();
}

function manifestIn(folder) {
  const path = join(folder, "package.json");
  if (!existsSync(path)) throw new Error(`${path} is missing`);
  return JSON.parse(readFileSync(path, "utf8"));
}

function run(command, args, cwd = root) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8", maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}
