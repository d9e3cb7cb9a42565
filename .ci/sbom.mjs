// npm run sbom [-- --to FILE]: what the packed command installs and contains, as CycloneDX, to stdout or to a file.
// npm run licences: that the licences of all of it are permitted, that the lock file names the registry alone, with hashes,
// and that no install script runs about which nothing was decided.
// Both read the lock file and the installed packages, and need no network.
import { existsSync, globSync, lstatSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { load } from "js-yaml";
import {
  checkInstallScripts,
  checkLicences,
  checkLock,
  cycloneDx,
  PERMITTED_LICENCES,
  productionComponents,
} from "./supply-chain.mjs";

const COMMAND = "packages/cli";
const root = fileURLToPath(new URL("..", import.meta.url));
const { values } = parseArgs({ options: { check: { type: "boolean" }, to: { type: "string" } } });

const lock = load(readFileSync(join(root, "pnpm-lock.yaml"), "utf8"));
const components = productionComponents(lock, COMMAND, { read: readInstalled, bundledIn });

if (values.check) check();
else {
  const text = `${JSON.stringify(cycloneDx(components), null, 2)}\n`;
  if (values.to === undefined) print(text);
  else writeFileSync(values.to, text);
}

/** To stdout, which a reader closes that has seen enough. */
function print(text) {
  process.stdout.on("error", (error) => process.exit(error.code === "EPIPE" ? 0 : 1));
  process.stdout.write(text);
}

function check() {
  const theirs = components.filter(({ isOurs }) => !isOurs);
  const elsewhere = theirs.filter(({ isElsewhere }) => isElsewhere);
  const settings = load(readFileSync(join(root, "pnpm-workspace.yaml"), "utf8"));
  const manifests = installedManifests();
  const problems = [...checkLicences(theirs), ...checkLock(lock), ...checkInstallScripts(manifests, settings)];
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) {
    console.error(`permitted licences: ${[...PERMITTED_LICENCES.keys()].join(", ")}`);
    process.exitCode = 1;
    return;
  }
  console.log(`licences: ${theirs.length - elsewhere.length} packages, all permitted`);
  if (elsewhere.length > 0) console.log(`not read: ${elsewhere.length} packages for other platforms`);
  console.log(`lock file: ${Object.keys(lock.packages).length} entries, all from the registry and with a hash`);
  const allowed = Object.keys(settings.allowBuilds).filter((name) => settings.allowBuilds[name]);
  console.log(`install scripts: only those of ${allowed.join(", ")} run`);
}

/** The manifest of what `parent` finds under `name`, with the folder it is in; see `productionComponents`. */
function readInstalled(name, parent) {
  const places = parent === undefined ? [join(root, COMMAND)] : placesFor(name, parent.manifest);
  for (const place of places)
    try {
      const folder = realpathSync(place);
      return { ...JSON.parse(readFileSync(join(folder, "package.json"), "utf8")), folder };
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
  return undefined;
}

/** Within the package, where those of the workspace have what they need, and beside it, where pnpm puts it for all others. */
function placesFor(name, parent) {
  if (parent === undefined) return [];
  const beside = parent.name.startsWith("@") ? dirname(dirname(parent.folder)) : dirname(parent.folder);
  return [join(parent.folder, "node_modules", name), join(beside, name)];
}

/** Of the status page: what the build says that the page contains. */
function bundledIn(importer) {
  if (importer !== "packages/status-page") return [];
  const notices = readFileSync(join(root, importer, "dist/page/third-party.md"), "utf8");
  return [...notices.matchAll(/^## (\S+) - \S+ \(.*\)$/gm)].map(([, name]) => name);
}

/** Of all packages, those of the tests and tools as well. */
function installedManifests() {
  const store = join(root, "node_modules/.pnpm");
  const folders = globSync(["*/node_modules/*", "*/node_modules/@*/*"], { cwd: store })
    .map((path) => join(store, path))
    .filter((path) => lstatSync(path).isDirectory());
  return folders
    .filter((folder) => existsSync(join(folder, "package.json")))
    .map((folder) => {
      const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      // npm and pnpm build what has this file and no script of its own.
      const isBuilt = existsSync(join(folder, "binding.gyp")) && manifest.gypfile !== false;
      return isBuilt ? { ...manifest, scripts: { install: "node-gyp rebuild", ...manifest.scripts } } : manifest;
    });
}
